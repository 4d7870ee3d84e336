//! The agreement of a partner who takes what a platform gives.

/// Its file: everything, everywhere, as blurred as it must be. The platform's own records, which name no licence, are under CC BY.
#[must_use]
pub fn agreement(name: &str, formats: &[&str]) -> String {
    let formats: Vec<String> = formats.iter().map(|format| format!("\"{format}\"")).collect();
    format!(
        r#"name = "{name}"
structure = "Association of the tests"
formats = [{}]
period = "P1D"
ends_on = 2099-12-31
in_return = "records"
technical_manager = {{ name = "Camille", email = "camille@example.org" }}
studies = [{{ name = "Atlas", nature = "atlas" }}]
territory = {{ description = "everywhere" }}
licences = {{ allowed = ["CC0-1.0", "CC-BY-4.0", "CC-BY-NC-4.0"], own = "CC-BY-4.0" }}
"#,
        formats.join(", ")
    )
}
