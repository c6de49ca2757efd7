//! Writes the CustomResourceDefinitions as YAML into the directory that is given, `crds` by default.

use std::path::PathBuf;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let directory = PathBuf::from(std::env::args().nth(1).unwrap_or_else(|| "crds".to_owned()));
    for definition in homeport_crds::definitions() {
        let path = directory.join(homeport_crds::file_name(&definition));
        std::fs::write(&path, homeport_crds::to_yaml(&definition)?)?;
    }
    Ok(())
}
