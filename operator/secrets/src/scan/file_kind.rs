//! What a file is, as far as that changes how its text is read.

/// Kinds of files that spell values and placeholders differently.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum FileKind {
    /// Configuration, scripts, data: a bare word after `password=` is the password.
    Config,
    /// Source code: a bare word after `password =` is an expression, only quoted text is a value.
    Code,
    /// Prose for people: `password: changeme` is an example.
    Prose,
    /// A template to be filled in: words such as `changeme` stand for a value to come.
    Template,
}

impl FileKind {
    pub(super) fn of(path: &str) -> Self {
        let name = file_name(path);
        let extension = name.rsplit_once('.').map_or("", |(_, extension)| extension);
        match extension {
            "template" | "tmpl" | "tpl" | "example" | "sample" | "dist" | "j2" => Self::Template,
            "md" | "markdown" | "rst" | "adoc" => Self::Prose,
            "c" | "cc" | "cpp" | "cs" | "ex" | "exs" | "go" | "groovy" | "h" | "hcl" | "java" | "js"
            | "jsx" | "kt" | "lua" | "mjs" | "php" | "pl" | "py" | "rb" | "rs" | "scala" | "swift" | "tf"
            | "tfvars" | "ts" | "tsx" => Self::Code,
            _ if name.starts_with("readme") => Self::Prose,
            _ => Self::Config,
        }
    }

    /// Whether a word such as `changeme` is taken for a placeholder here.
    pub(super) fn has_placeholder_words(self) -> bool {
        matches!(self, Self::Prose | Self::Template)
    }
}

/// Whether the file is a store of private keys by its name alone: their content is encrypted or binary.
pub(super) fn is_key_store(path: &str) -> bool {
    let name = file_name(path);
    [".p12", ".pfx", ".jks", ".keystore", ".kdbx"]
        .iter()
        .any(|extension| name.ends_with(extension))
}

fn file_name(path: &str) -> String {
    path.rsplit('/').next().unwrap_or(path).to_ascii_lowercase()
}
