//! What an action of an advice is called on a screen, what is said behind it, and the
//! bytes it stands for.
//!
//! Pure. Must not choose among actions, nor know how they are laid out.

use crate::model::advice::Action;

use super::Found;

/// Bytes that an action brings back.
#[must_use]
pub fn gain(found: &Found, action: Action) -> Option<i64> {
    match action {
        Action::ActiveDefrag => found.reclaim.active_defrag,
        Action::MemoryPurge => found.reclaim.memory_purge,
        Action::Restart => found.reclaim.restart,
        _ => None,
    }
}

/// What the second text of an action is about.
#[must_use]
pub fn label(action: Action) -> &'static str {
    match action {
        Action::Upgrade | Action::MakeRoom | Action::MakeForkRoom => "     how:",
        Action::CheckSwap => "     run:",
        _ => "     cost:",
    }
}

/// What an action is called in a list.
#[must_use]
pub fn title(action: Action) -> &'static str {
    match action {
        Action::ActiveDefrag => "switch active defrag on",
        Action::StopDefrag => "switch active defrag off",
        Action::MemoryPurge => "purge free pages",
        Action::ScriptFlush => "flush cached scripts",
        Action::Restart => "restart the server",
        Action::Upgrade => "upgrade the server",
        Action::CheckSwap => "check for swap",
        Action::LeaveSwap => "bring it back from swap",
        Action::MakeRoom => "make room below the limit",
        Action::MakeForkRoom => "make room for saves",
        Action::LowerMaxmemory => "lower maxmemory",
        Action::SetOvercommit => "let the kernel overcommit",
        Action::DisableHugePages => "switch huge pages off",
        Action::Wait => "wait",
    }
}
