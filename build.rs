//! Builds the binary anew when the frontend's build changes: it is embedded by `serve::assets`.

fn main() {
    println!("cargo:rerun-if-changed=frontend/dist");
}
