//! The machine's setting of transparent huge pages, put back when dropped, and
//! what it is to a process by the kernel's word.

use std::fs;

const ENABLED: &str = "/sys/kernel/mm/transparent_hugepage/enabled";

/// The setting, as it was before.
pub struct HugePages {
    before: String,
}

impl HugePages {
    /// Sets it: `always`, `madvise` or `never`; why not, where the machine does not
    /// allow it.
    pub fn set(setting: &str) -> Result<HugePages, String> {
        let told = fs::read_to_string(ENABLED).map_err(|e| format!("{ENABLED}: {e}"))?;
        let before = told.split(['[', ']']).nth(1);
        let before = before.ok_or(format!("{ENABLED}: {told}"))?.to_owned();
        fs::write(ENABLED, setting).map_err(|e| format!("{ENABLED}: {e}"))?;
        Ok(HugePages { before })
    }

    /// Sets it anew.
    pub fn change(&self, setting: &str) {
        fs::write(ENABLED, setting).unwrap_or_else(|e| panic!("{ENABLED}: {e}"));
    }

    /// `THP_enabled` of a process: whether it takes them; `None` before Linux 5.0.
    pub fn enabled_for(pid: u32) -> Option<bool> {
        let status = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
        let told = status
            .lines()
            .find_map(|line| line.strip_prefix("THP_enabled:"));
        Some(told?.trim() == "1")
    }
}

impl Drop for HugePages {
    fn drop(&mut self) {
        if let Err(error) = fs::write(ENABLED, &self.before) {
            eprintln!("{ENABLED} should say {}: {error}", self.before);
        }
    }
}
