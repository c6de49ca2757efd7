//! Quoting of names and values in SQL text.

/// A name as SQL spells it, always quoted.
pub(super) fn ident(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

/// A schema-qualified name as SQL spells it.
pub(super) fn qualified(schema: &str, name: &str) -> String {
    format!("{}.{}", ident(schema), ident(name))
}

/// A string as SQL spells it, whatever `standard_conforming_strings` is.
pub(super) fn literal(text: &str) -> String {
    let quoted = text.replace('\'', "''");
    if quoted.contains('\\') {
        format!(" E'{}'", quoted.replace('\\', "\\\\"))
    } else {
        format!("'{quoted}'")
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case("orders", "\"orders\"")]
    #[case("Or\"ders", "\"Or\"\"ders\"")]
    #[case("", "\"\"")]
    fn idents(#[case] name: &str, #[case] sql: &str) {
        assert_eq!(ident(name), sql);
    }

    #[rstest]
    #[case("it's", "'it''s'")]
    #[case(r"C:\n", r" E'C:\\n'")]
    fn literals(#[case] text: &str, #[case] sql: &str) {
        assert_eq!(literal(text), sql);
    }
}
