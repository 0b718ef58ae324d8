//! x
pub fn run(c: crate::code::Code, a: Vec<std::ffi::OsString>) -> i32 {
    0
}
pub fn install_panic_hook() {}
