//! Swap of our own: a file that the kernel swaps to, off and away again when
//! dropped.
//!
//! Must not know what is swapped.

use std::path::PathBuf;
use std::process::{Command, Stdio};

/// Swap in a file.
pub struct SwapFile {
    path: PathBuf,
    on: bool,
    // Holds the file; deleted last.
    _dir: tempfile::TempDir,
}

impl SwapFile {
    /// So many bytes of it; why not, where the machine allows none.
    pub fn new(size: usize) -> Result<SwapFile, String> {
        let dir = tempfile::Builder::new()
            .prefix("rf-swap-")
            .tempdir()
            .map_err(|e| format!("no temporary folder: {e}"))?;
        let path = dir.path().join("swap");
        // Written out: the kernel takes no file with holes.
        std::fs::write(&path, vec![0; size]).map_err(|e| format!("no swap file: {e}"))?;
        let mut file = SwapFile {
            path,
            on: false,
            _dir: dir,
        };
        file.run("chmod", &["600"])?;
        file.run("mkswap", &[])?;
        file.run("swapon", &[])?;
        file.on = true;
        Ok(file)
    }

    /// Brings all of it back into memory.
    pub fn off(&mut self) -> Result<(), String> {
        if self.on {
            self.run("swapoff", &[])?;
            self.on = false;
        }
        Ok(())
    }

    fn run(&self, program: &str, args: &[&str]) -> Result<(), String> {
        let output = Command::new(program)
            .args(args)
            .arg(&self.path)
            .stdin(Stdio::null())
            .output()
            .map_err(|e| format!("cannot run {program}: {e}"))?;
        let told = String::from_utf8_lossy(&output.stderr);
        match output.status.success() {
            true => Ok(()),
            false => Err(format!("{program}: {}", told.trim())),
        }
    }
}

impl Drop for SwapFile {
    fn drop(&mut self) {
        if let Err(why) = self.off() {
            eprintln!("swap stays on: {why}");
        }
    }
}
