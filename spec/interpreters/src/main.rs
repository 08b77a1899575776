//! Says where the build script has put the interpreters.

fn main() {
    println!("{}/prefix", env!("OUT_DIR"));
}
