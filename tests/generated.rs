//! What is committed and worked out from tables is what the tables say: `make generated`
//! writes it anew.
//!
//! One module for each kind of file. Must not hold anything but that they are current.
