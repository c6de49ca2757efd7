//! The subset of kubectl's JSONPath that printer columns use: fields, indices, wildcards and filters.

use serde_json::Value;

/// A path such as `.status.conditions[?(@.type=="Ready")].status`.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct JsonPath(Vec<Step>);

#[derive(Clone, Debug, PartialEq)]
enum Step {
    Field(String),
    /// Negative ones count from the end.
    Index(i64),
    All,
    Filter {
        path: JsonPath,
        comparison: Comparison,
        value: Value,
    },
    /// A filter that asks for nothing but presence.
    Present(JsonPath),
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Comparison {
    Equal,
    Unequal,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
}

impl JsonPath {
    /// # Errors
    /// Says what cannot be understood.
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        let mut rest = text.trim();
        if let Some(inner) = rest.strip_prefix('{').and_then(|inner| inner.strip_suffix('}')) {
            rest = inner;
        }
        rest = rest.strip_prefix('$').unwrap_or(rest);
        let mut steps = Vec::new();
        while !rest.is_empty() {
            let step;
            (step, rest) = if let Some(inside) = rest.strip_prefix('[') {
                let end = closing(inside).ok_or_else(|| format!("{text:?} lacks a closing bracket"))?;
                (parse_bracket(inside[..end].trim())?, &inside[end + 1..])
            } else if let Some(after) = rest.strip_prefix('.') {
                let (name, after) = take_field(after);
                (if name == "*" { Step::All } else { Step::Field(name) }, after)
            } else {
                return Err(format!("{text:?} must start with a dot or a bracket"));
            };
            match step {
                Step::Field(name) if name.is_empty() => {
                    // `.[0]` and the lone `.` are fine; `..` descends, which no column needs.
                    if rest.starts_with('.') {
                        return Err(format!("{text:?}: recursive descent is not supported"));
                    }
                }
                step => steps.push(step),
            }
        }
        Ok(JsonPath(steps))
    }

    /// All values that the path leads to.
    pub(crate) fn find<'a>(&self, root: &'a Value) -> Vec<&'a Value> {
        self.0.iter().fold(vec![root], |found, step| {
            found.into_iter().flat_map(|value| step.apply(value)).collect()
        })
    }
}

impl Step {
    fn apply<'a>(&self, value: &'a Value) -> Vec<&'a Value> {
        let children = |value: &'a Value| -> Vec<&'a Value> {
            match value {
                Value::Array(items) => items.iter().collect(),
                Value::Object(fields) => fields.values().collect(),
                _ => Vec::new(),
            }
        };
        match self {
            Step::Field(name) => value.get(name).into_iter().collect(),
            Step::All => children(value),
            Step::Index(index) => {
                let Value::Array(items) = value else {
                    return Vec::new();
                };
                let from_end = usize::try_from(index.unsigned_abs()).unwrap_or(usize::MAX);
                let index = if *index < 0 {
                    items.len().checked_sub(from_end)
                } else {
                    Some(from_end)
                };
                index.and_then(|index| items.get(index)).into_iter().collect()
            }
            Step::Filter {
                path,
                comparison,
                value: wanted,
            } => children(value)
                .into_iter()
                .filter(|item| {
                    path.find(item)
                        .first()
                        .is_some_and(|found| comparison.holds(found, wanted))
                })
                .collect(),
            Step::Present(path) => children(value)
                .into_iter()
                .filter(|item| !path.find(item).is_empty())
                .collect(),
        }
    }
}

impl Comparison {
    fn holds(self, left: &Value, right: &Value) -> bool {
        let order = match (left, right) {
            (Value::String(left), Value::String(right)) => Some(left.cmp(right)),
            _ => match (left.as_f64(), right.as_f64()) {
                (Some(left), Some(right)) => left.partial_cmp(&right),
                _ => (left == right).then_some(std::cmp::Ordering::Equal),
            },
        };
        match self {
            Comparison::Equal => order.is_some_and(std::cmp::Ordering::is_eq),
            Comparison::Unequal => !order.is_some_and(std::cmp::Ordering::is_eq),
            Comparison::Less => order.is_some_and(std::cmp::Ordering::is_lt),
            Comparison::LessOrEqual => order.is_some_and(std::cmp::Ordering::is_le),
            Comparison::Greater => order.is_some_and(std::cmp::Ordering::is_gt),
            Comparison::GreaterOrEqual => order.is_some_and(std::cmp::Ordering::is_ge),
        }
    }
}

/// Where the bracket that is open before `text` closes, quotes and nested brackets considered.
fn closing(text: &str) -> Option<usize> {
    let mut depth = 0_usize;
    let mut quote = None;
    for (index, c) in text.char_indices() {
        match (quote, c) {
            (Some(open), _) if c == open => quote = None,
            (Some(_), _) => {}
            (None, '\'' | '"') => quote = Some(c),
            (None, '[') => depth += 1,
            (None, ']') if depth == 0 => return Some(index),
            (None, ']') => depth -= 1,
            _ => {}
        }
    }
    None
}

/// A field's name up to the next dot or bracket; a backslash takes the next character literally.
fn take_field(text: &str) -> (String, &str) {
    let mut name = String::new();
    let mut characters = text.char_indices();
    while let Some((index, c)) = characters.next() {
        match c {
            '\\' => name.extend(characters.next().map(|(_, escaped)| escaped)),
            '.' | '[' => return (name, &text[index..]),
            _ => name.push(c),
        }
    }
    (name, "")
}

fn parse_bracket(inside: &str) -> Result<Step, String> {
    if let Some(filter) = inside
        .strip_prefix("?(")
        .and_then(|filter| filter.strip_suffix(')'))
    {
        return parse_filter(filter.trim());
    }
    if inside == "*" || inside == ":" {
        return Ok(Step::All);
    }
    for quote in ['\'', '"'] {
        if let Some(name) = inside
            .strip_prefix(quote)
            .and_then(|name| name.strip_suffix(quote))
        {
            return Ok(Step::Field(name.replace("\\.", ".")));
        }
    }
    inside
        .parse()
        .map(Step::Index)
        .map_err(|_| format!("[{inside}] is neither an index, a name nor a filter"))
}

fn parse_filter(filter: &str) -> Result<Step, String> {
    let operators = [
        ("==", Comparison::Equal),
        ("!=", Comparison::Unequal),
        ("<=", Comparison::LessOrEqual),
        (">=", Comparison::GreaterOrEqual),
        ("<", Comparison::Less),
        (">", Comparison::Greater),
    ];
    let path = |text: &str| {
        let path = text
            .trim()
            .strip_prefix('@')
            .ok_or_else(|| format!("filter {filter:?} must start with @"))?;
        JsonPath::parse(path)
    };
    for (operator, comparison) in operators {
        if let Some((left, right)) = filter.split_once(operator) {
            let right = right.trim();
            let unquoted = right.strip_prefix('\'').and_then(|text| text.strip_suffix('\''));
            let value = match unquoted {
                Some(text) => Value::from(text),
                None => serde_json::from_str(right).map_err(|_| format!("{right:?} is not a value"))?,
            };
            return Ok(Step::Filter {
                path: path(left)?,
                comparison,
                value,
            });
        }
    }
    Ok(Step::Present(path(filter)?))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use rstest::rstest;
    use serde_json::json;

    use super::*;

    #[rstest]
    #[case(".spec.name", json!(["x"]))]
    #[case("{.spec.name}", json!(["x"]))]
    #[case("$.spec['name']", json!(["x"]))]
    #[case(r".spec.dotted\.name", json!([1]))]
    #[case(".spec['dotted.name']", json!([1]))]
    #[case(".list[0].type", json!(["Ready"]))]
    #[case(".list[-1].type", json!(["Done"]))]
    #[case(".list[*].type", json!(["Ready", "Done"]))]
    #[case(r#".list[?(@.type=="Done")].status"#, json!(["False"]))]
    #[case(".list[?(@.type=='Done')].status", json!(["False"]))]
    #[case(".list[?(@.weight>1)].type", json!(["Done"]))]
    #[case(".list[?(@.weight)].type", json!(["Done"]))]
    #[case(r#".list[?(@.type!="Done")].status"#, json!(["True"]))]
    #[case(".nothing.here", json!([]))]
    #[case(".spec[0]", json!([]))]
    fn finds(#[case] path: &str, #[case] found: Value) {
        let object = json!({
            "spec": {"name": "x", "dotted.name": 1},
            "list": [{"type": "Ready", "status": "True"}, {"type": "Done", "status": "False", "weight": 2}],
        });
        let path = JsonPath::parse(path).unwrap();
        assert_eq!(json!(path.find(&object)), found);
    }

    #[rstest]
    #[case("spec")]
    #[case(".spec[")]
    #[case(".spec[x]")]
    #[case("..spec")]
    #[case(".a[?(b==1)]")]
    fn refuses(#[case] path: &str) {
        JsonPath::parse(path).unwrap_err();
    }
}
