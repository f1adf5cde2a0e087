//! Two columns: a name and its value, one below the other.

/// Rows that are written aligned; values of several lines hang below their first.
#[derive(Debug, Default)]
pub struct Table(Vec<(&'static str, String)>);

impl Table {
    /// Adds a row; an empty name continues the row before.
    pub fn row(&mut self, name: &'static str, value: impl Into<String>) -> &mut Self {
        self.0.push((name, value.into()));
        self
    }

    /// The text. Control characters in values become spaces: what untrusted files say must not drive the terminal.
    pub fn render(&self) -> String {
        let width = self.0.iter().map(|(name, _)| name.len()).max().unwrap_or(0);
        let line =
            |(name, value): &(&str, String)| format!("{name:width$}  {}", plain(value)).trim_end().to_owned() + "\n";
        self.0.iter().map(line).collect()
    }
}

/// One line that is only text.
pub fn plain(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_aligned_and_values_cannot_drive_the_terminal() {
        let mut table = Table::default();
        table.row("name", "value").row("", "more").row("longer", "a\x1b[2Jb\nc");
        assert_eq!(table.render(), "name    value\n        more\nlonger  a [2Jb c\n");
    }
}
