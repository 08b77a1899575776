//! What the compiler must be told that the manifest cannot say.

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    let target = |name: &str| std::env::var(format!("CARGO_CFG_TARGET_{name}")).unwrap_or_default();
    let apple = target("VENDOR") == "apple";
    println!("cargo::rustc-check-cfg=cfg(has_kqueue)");
    if apple || target("OS") == "freebsd" {
        println!("cargo::rustc-cfg=has_kqueue");
    }
    if apple {
        // A module finds Lua's functions in whoever loads it; elsewhere linkers expect no less.
        println!("cargo::rustc-cdylib-link-arg=-undefined");
        println!("cargo::rustc-cdylib-link-arg=dynamic_lookup");
    }
}
