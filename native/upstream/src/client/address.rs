//! Where requests to a provider go.

use fairlead_dialect::Vendor;
use http::Uri;

use super::settings::ProviderSettings;

/// The base URL of a provider, and what its paths look like.
pub(super) struct Address {
    /// Without a trailing slash.
    base: String,
    uri: Uri,
    /// Azure's dated API: the path names the deployment.
    api_version: Option<String>,
}

impl Address {
    pub(super) fn new(settings: &ProviderSettings) -> Result<Self, String> {
        let base = settings.base_url.trim_end_matches('/');
        let uri: Uri = base.parse().map_err(|_invalid| "baseUrl is not a URL".to_owned())?;
        if !matches!(uri.scheme_str(), Some("http" | "https")) || uri.host().is_none_or(str::is_empty) {
            return Err("baseUrl must begin with http:// or https:// and name a host".to_owned());
        }
        if uri
            .authority()
            .is_some_and(|authority| authority.as_str().contains('@'))
        {
            return Err("baseUrl must not contain a user name or password; use apiKey".to_owned());
        }
        // The path of a call is put behind it, and must not become a part of these.
        if base.contains(['?', '#']) {
            return Err("baseUrl must not have a query or a fragment".to_owned());
        }
        let api_version = settings.api_version.clone().filter(|version| !version.is_empty());
        if api_version.is_some() && settings.kind != Vendor::AzureOpenAi {
            return Err("apiVersion is for kind azure-openai only".to_owned());
        }
        let versionless = settings.kind == Vendor::Ollama && matches!(uri.path(), "" | "/");
        Ok(Self {
            base: if versionless {
                format!("{base}/v1")
            } else {
                base.to_owned()
            },
            uri,
            api_version,
        })
    }

    /// The base URL.
    pub(super) fn base(&self) -> &Uri {
        &self.uri
    }

    /// The URL of a call; `path` begins with a slash. `None` when the model's name makes it none.
    pub(super) fn of(&self, path: &str, upstream_model: &str) -> Option<Uri> {
        // Dots are not encoded: the deployment would be a step in the path.
        if self.api_version.is_some() && matches!(upstream_model, "" | "." | "..") {
            return None;
        }
        let url = match &self.api_version {
            None => format!("{}{path}", self.base),
            Some(version) => format!(
                "{}/openai/deployments/{}{path}?api-version={}",
                self.base,
                encoded(upstream_model),
                encoded(version)
            ),
        };
        url.parse().ok()
    }
}

/// A name as one segment of a path (RFC 3986: all but the unreserved characters are percent-encoded).
fn encoded(name: &str) -> String {
    let mut text = String::with_capacity(name.len());
    for byte in name.bytes() {
        if byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~') {
            text.push(char::from(byte));
        } else {
            text.push_str(&format!("%{byte:02X}"));
        }
    }
    text
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

    use super::*;
    use crate::client::provider::tests::settings;

    fn url(settings: &ProviderSettings) -> String {
        let address = Address::new(settings).unwrap();
        address.of("/chat/completions", "gpt 4o/x").unwrap().to_string()
    }

    #[test]
    fn refuses_what_is_not_an_absolute_http_url() {
        for base in [
            "",
            "api.openai.com/v1",
            "ftp://host/v1",
            "http://",
            "http://u:p@host/v1",
            "http://host/v1?k=v",
            "http://host/v1?",
            "http://host/v1#part",
        ] {
            assert!(Address::new(&settings(base)).is_err(), "{base}");
        }
    }

    #[test]
    fn ollama_without_a_path_gets_the_version() {
        let mut ollama = settings("http://localhost:11434/");
        ollama.kind = Vendor::Ollama;
        assert_eq!(url(&ollama), "http://localhost:11434/v1/chat/completions");
        assert_eq!(url(&settings("http://host/")), "http://host/chat/completions");
    }

    #[test]
    fn azure_names_the_deployment_in_its_dated_api_only() {
        let mut azure = settings("https://res.openai.azure.com/openai/v1");
        azure.kind = Vendor::AzureOpenAi;
        assert_eq!(url(&azure), "https://res.openai.azure.com/openai/v1/chat/completions");
        azure.base_url = "https://res.openai.azure.com".to_owned();
        azure.api_version = Some("2024-10-21".to_owned());
        assert_eq!(
            url(&azure),
            "https://res.openai.azure.com/openai/deployments/gpt%204o%2Fx/chat/completions?api-version=2024-10-21"
        );
        for step in ["", ".", ".."] {
            assert!(
                Address::new(&azure).unwrap().of("/chat/completions", step).is_none(),
                "{step:?}"
            );
        }
        azure.kind = Vendor::OpenAi;
        assert!(Address::new(&azure).is_err());
    }
}
