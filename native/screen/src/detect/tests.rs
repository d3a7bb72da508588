#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]
//! What every detector finds and what it leaves alone.

use proptest::prelude::*;
use proptest::strategy::ValueTree;
use proptest::string::bytes_regex;
use proptest::test_runner::TestRunner;

use super::*;

/// Everything that a detector finds.
fn found(name: &str, text: &str) -> Vec<String> {
    let detector = named(name).next().unwrap();
    let keywords = Keywords::of(text);
    let mut all = Vec::new();
    let mut at = 0;
    if !detector.may_find(text, &keywords) {
        return all;
    }
    while let Some(candidate) = detector.next(text, at) {
        at = match candidate.found {
            Some(range) => {
                all.push(text[range].to_owned());
                candidate.whole.end
            }
            None => candidate.whole.start + 1,
        };
        if at > text.len() {
            break;
        }
    }
    all
}

fn finds(name: &str, text: &str, what: &[&str]) {
    assert_eq!(found(name, text), what, "{name} in {text:?}");
}

#[test]
fn mail_addresses() {
    finds(
        "email",
        "Write to ann.o'neil+tag@mail.example.co.uk, or <bob@x.org>.",
        &["ann.o'neil+tag@mail.example.co.uk", "bob@x.org"],
    );
    finds("email", "地址:li@example.cn。", &["li@example.cn"]);
    for text in [
        "@ann said hi",
        "user@localhost",
        "a @ b.com",
        "x@1.2",
        "a..b@",
        "git@github",
        "5@6.7",
    ] {
        finds("email", text, &[]);
    }
}

#[test]
fn telephone_numbers() {
    finds(
        "phone",
        "Call +49 30 123456 or (415) 555-2671, +1 415-555-2671.",
        &["+49 30 123456", "(415) 555-2671", "+1 415-555-2671"],
    );
    finds("phone", "tel:+442079460018!", &["+442079460018"]);
    for text in [
        "+1 000-000-0000",
        "123-456-7890",
        "4155552671",
        "+12",
        "2024-11-21",
        "1 + 2345678 = x",
        "v1.2.3-456",
    ] {
        finds("phone", text, &[]);
    }
}

#[test]
fn card_numbers() {
    finds("credit-card", "Visa 4111 1111 1111 1111 2027", &["4111 1111 1111 1111"]);
    finds(
        "credit-card",
        "378282246310005, 5555-5555-5555-4444.",
        &["378282246310005", "5555-5555-5555-4444"],
    );
    for text in [
        "4111 1111 1111 1112",
        "41111111111111110000000",
        "2222222222222222",
        "order 1234567890123",
        "a4111111111111111",
    ] {
        finds("credit-card", text, &[]);
    }
}

#[test]
fn account_numbers() {
    finds(
        "iban",
        "Pay DE89 3704 0044 0532 0130 00 or GB29NWBK60161331926819.",
        &["DE89 3704 0044 0532 0130 00", "GB29NWBK60161331926819"],
    );
    finds(
        "iban",
        "DE89 3704 0044 0532 0130 00 EUR",
        &["DE89 3704 0044 0532 0130 00"],
    );
    for text in [
        "DE88 3704 0044 0532 0130 00",
        "XX89 3704 0044 0532 0130 00",
        "DE89 3704 0044 0532",
    ] {
        finds("iban", text, &[]);
    }
}

#[test]
fn network_addresses() {
    finds(
        "ip-address",
        "from 8.8.4.4 and 2a00:1450:4001:81b::200e.",
        &["8.8.4.4", "2a00:1450:4001:81b::200e"],
    );
    for text in [
        "127.0.0.1",
        "10.1.2.3",
        "192.168.0.1",
        "203.0.113.9",
        "999.1.1.1",
        "0.0.0.0",
        "2001:db8::1",
        "at 12:30:45",
        "::1",
        "a::b",
    ] {
        finds("ip-address", text, &[]);
    }
}

#[test]
fn social_security_numbers() {
    finds("us-ssn", "SSN 536-22-8726.", &["536-22-8726"]);
    for text in [
        "000-12-3456",
        "666-12-3456",
        "900-12-3456",
        "123-00-4567",
        "123-45-0000",
        "078-05-1120",
        "1536-22-8726",
        "536-22-87261",
    ] {
        finds("us-ssn", text, &[]);
    }
}

#[test]
fn tokens_of_the_web() {
    let token = "eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9.eyJzdWIiOiIxMjM0NTY3ODkwIn0.dozjgNryP4J3jVmNHl0w5N_XgL0n3I9P";
    finds("jwt", &format!("Bearer {token}, ok"), &[token]);
    for text in ["eyes.eyelid.eyebrow", "eyJhbGciOiJIUzI1NiJ9", "they.eyed.it"] {
        finds("jwt", text, &[]);
    }
}

#[test]
fn private_keys() {
    let body = "MIIEvQIBADANBgkqhkiG9w0BAQEFAASCBKcwggSjAgEAAoIBAQC7\nVJTUt9Us8cKjMzEfYyjiWA4R4/M2bS1GB4t7NXp98C3S\n";
    let key = format!("-----BEGIN PRIVATE KEY-----\n{body}-----END PRIVATE KEY-----");
    finds("private-key", &format!("Here:\n{key}\nDone."), &[&key]);
    let escaped = key.replace('\n', "\\n");
    finds("private-key", &format!("\"{escaped}\""), &[&escaped]);
    let torn = format!("-----BEGIN RSA PRIVATE KEY-----\n{body}");
    finds("private-key", &torn, &[&torn]);
    for text in [
        "A key begins with -----BEGIN PRIVATE KEY----- and a line end.",
        "-----BEGIN PUBLIC KEY-----\nMIIBIjANBgkqhkiG9w0BAQEFAAOCAQ8A\n-----END PUBLIC KEY-----",
    ] {
        finds("private-key", text, &[]);
    }
}

#[test]
fn secrets_that_everybody_knows() {
    for (name, text, secret) in [
        ("aws-access-token", "id AKIAQYLPMN5HHHFPZAM2.", "AKIAQYLPMN5HHHFPZAM2"),
        (
            "github-pat",
            "(ghp_Zc1xQ9vR2mT7kL4pW8sN3bY6dF0hJ5gA1eU2)",
            "ghp_Zc1xQ9vR2mT7kL4pW8sN3bY6dF0hJ5gA1eU2",
        ),
        (
            "stripe-access-token",
            "use sk_live_4eC39HqLyjWDarjtT1zdp7dc, please",
            "sk_live_4eC39HqLyjWDarjtT1zdp7dc",
        ),
        (
            "slack-bot-token",
            "`xoxb-781236542736-2364535789652-GkwFDQoHqzXDVsC6GzqYUypD`",
            "xoxb-781236542736-2364535789652-GkwFDQoHqzXDVsC6GzqYUypD",
        ),
    ] {
        finds(name, text, &[secret]);
    }
    for (name, text) in [
        ("aws-access-token", "AKIAIOSFODNN7EXAMPLE"),
        ("aws-access-token", "AKIAAAAAAAAAAAAAAAAA"),
        ("github-pat", "ghp_xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"),
        ("stripe-access-token", "pk_live_4eC39HqLyjWDarjtT1zdp7dc"),
        ("slack-bot-token", "xoxb-your-token-here"),
    ] {
        finds(name, text, &[]);
    }
}

/// Whatever a rule's pattern describes is found, at the end of a sentence too; what the rule takes for a placeholder
/// is not.
#[test]
fn every_rule_of_the_secrets_finds_what_it_describes() {
    let mut runner = TestRunner::deterministic();
    let mut rules = 0;
    for detector in named("secrets") {
        assert!(detector.prepare(), "{} compiles", detector.name);
        // The generator knows no boundaries; and a token is ASCII.
        let described = detector
            .pattern
            .replace("\\b{end-half}", "")
            .replace("\\b", "")
            .replace("(?:^|[\\\\'\"\\x60\\s>=:(,)])", " ")
            .replace("(?:$|[\\\\'\"\\x60\\s<),])", " ")
            .replace("(?:[^\\w-]|\\z)", " ")
            .replace("(?:[^a-zA-Z0-9+/]|\\z)", " ")
            .replace("(?:[\\/|\\#|\\?|:]|$)", "/")
            .replace('$', "");
        // Dots that are meant as such.
        let hosts = [
            "gems.contribsys.com",
            "enterprise.contribsys.com",
            "hooks.slack.com",
            "xoxe.xox",
        ];
        let described = hosts.iter().fold(described, |described, host| {
            described.replace(host, &host.replace('.', "\\."))
        });
        let strategy = bytes_regex(&format!("(?-u){described}")).unwrap();
        let found_one = (0..40).any(|_| {
            let secret = String::from_utf8_lossy(&strategy.new_tree(&mut runner).unwrap().current()).into_owned();
            !found(&detector.name, &format!("The key is {secret} . Keep it.")).is_empty()
        });
        assert!(found_one, "{} finds nothing of {described}", detector.name);
        rules += 1;
    }
    assert!(rules > 100, "{rules}");
}

#[test]
fn prose_and_code_hold_nothing() {
    let text = concat!(
        "The quick brown fox (v2.10.3) was released on 2026-11-21 at 12:30:45 UTC by the team.\n",
        "fn main() { let id = uuid!(\"67e55044-10b1-426f-9247-bb680e5fe0c8\"); println!(\"{id:?}\"); }\n",
        "SELECT name, price FROM items WHERE price > 12345.67 AND sku LIKE 'SK-%'; -- api-key rotation\n",
        "commit 83d9cd684c87d95d656c1458ef04895a7f1cbd8e, see https://example.com/a/b?c=1&d=2#e\n",
        "{\"status\": \"ok\", \"items\": [1, 2, 3], \"total\": 1234567890}\n",
    );
    for (name, _) in names() {
        finds(name, text, &[]);
    }
}

#[test]
fn names_are_unique_and_none_is_a_group() {
    let mut seen = std::collections::BTreeSet::new();
    for (name, group) in names() {
        assert!(seen.insert(name), "{name}");
        assert_ne!(name, group.name());
        assert!(
            name.bytes()
                .all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-')
        );
    }
    assert_eq!(named("pii").count(), 6);
    assert_eq!(named("email").count(), 1);
    assert_eq!(named("mail").count(), 0);
}

proptest! {
    /// Nothing that a model writes makes a detector panic.
    #[test]
    fn any_text_is_looked_through(text in any::<String>(), digits in "[0-9 .:+()@-]{0,80}") {
        for (name, _) in names() {
            found(name, &text);
            found(name, &digits);
        }
    }
}
