//! The program; it will be in the library.

fn main() {}
