//! Makes sure that the folder of the built page exists, so that the embedded files are looked at
//! again whenever it changes, and never when it does not.

fn main() -> std::io::Result<()> {
    std::fs::create_dir_all("web/dist")?;
    println!("cargo::rerun-if-changed=web/dist");
    println!("cargo::rerun-if-changed=build.rs");
    Ok(())
}
