//! Personal data: a pattern finds what it could be, a library or the format's own checks decide.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::ops::Range;

use card_validate::Validate;
use email_address::EmailAddress;
use iban::Iban;
use phonenumber::country::Id;

use super::{Detector, Group, Needs};

/// A mailbox as people write it: an atom with dots, an at sign, a domain with a top level (RFC 5321, section 4.1.2).
const EMAIL: &str = r"[A-Za-z0-9.!#$%&'*+/=?^_{|}~-]{1,64}@(?:[A-Za-z0-9-]{1,63}\.)+[A-Za-z]{2,24}\b{end-half}";
/// International (E.123: a plus sign and groups), or North American with its separators.
const PHONE: &str = concat!(
    r"(?:\+[1-9][0-9]{0,2}(?:[ .-]?\(?[0-9]{1,5}\)?){2,6}",
    r"|\b{start-half}(?:1[ .-])?[2-9][0-9]{2}[.-][2-9][0-9]{2}[.-][0-9]{4}",
    r"|\([2-9][0-9]{2}\) ?[2-9][0-9]{2}[ .-][0-9]{4})\b{end-half}",
);
/// 12 to 19 digits (ISO/IEC 7812), possibly in groups.
const CREDIT_CARD: &str = r"\b{start-half}[2-6](?:[ -]?[0-9]){11,18}\b{end-half}";
/// ISO 13616, electronic or in groups of four.
const IBAN: &str = r"\b{start-half}[A-Z]{2}[0-9]{2}(?: ?[A-Z0-9]{4}){2,7}(?: ?[A-Z0-9]{1,3})?\b{end-half}";
/// Dotted IPv4, or hexadecimal groups with colons (RFC 4291, section 2.2).
const IP_ADDRESS: &str = concat!(
    r"(?:\b{start-half}[0-9]{1,3}(?:\.[0-9]{1,3}){3}\b{end-half}",
    r"|\b{start-half}[0-9A-Fa-f]{1,4}(?::[0-9A-Fa-f]{0,4}){2,7}(?:(?:\.[0-9]{1,3}){3})?)",
);
/// Social Security Administration: `AAA-GG-SSSS`.
const US_SSN: &str = r"\b{start-half}[0-9]{3}-[0-9]{2}-[0-9]{4}\b{end-half}";

pub(super) fn all() -> Vec<Detector> {
    let new = |name, needs, pattern| Detector::new(name, Group::Pii, needs, pattern);
    vec![
        new("email", Needs::Byte(b'@'), EMAIL).verified(email),
        new("phone", Needs::Digit, PHONE).verified(phone),
        new("credit-card", Needs::Digit, CREDIT_CARD).verified(|text| in_groups(text, credit_card)),
        new("iban", Needs::Digit, IBAN).verified(|text| in_groups(text, |text| text.parse::<Iban>().is_ok())),
        new("ip-address", Needs::Digit, IP_ADDRESS).verified(ip_address),
        new("us-ssn", Needs::Digit, US_SSN).verified(us_ssn),
    ]
}

fn email(text: &str) -> Option<Range<usize>> {
    // Punctuation of the sentence before it is no part of the address.
    let lead = text
        .bytes()
        .take_while(|byte| !byte.is_ascii_alphanumeric() && *byte != b'_')
        .count();
    let address = text.get(lead..)?;
    EmailAddress::is_valid(address).then_some(lead..text.len())
}

/// Valid in the numbering plan of its country (libphonenumber's metadata). Without a plus sign: in North America's.
fn phone(text: &str) -> Option<Range<usize>> {
    let country = (!text.starts_with('+')).then_some(Id::US);
    let number = phonenumber::parse(country, text).ok()?;
    phonenumber::is_valid(&number).then_some(0..text.len())
}

/// The longest beginning, in whole groups, that is what it looks like: a year may stand right after a card.
fn in_groups(text: &str, is_it: impl Fn(&str) -> bool) -> Option<Range<usize>> {
    let ends = text.match_indices([' ', '-']).map(|(at, _)| at);
    let mut ends: Vec<usize> = ends.chain([text.len()]).collect();
    ends.reverse();
    ends.into_iter()
        .find(|end| text.get(..*end).is_some_and(&is_it))
        .map(|end| 0..end)
}

/// The number of a card of a known network, with its length and check digit (Luhn, ISO/IEC 7812-1 annex B).
fn credit_card(text: &str) -> bool {
    let digits: String = text.chars().filter(char::is_ascii_digit).collect();
    let all_same = digits.bytes().all(|digit| digits.bytes().next() == Some(digit));
    !all_same && Validate::from(&digits).is_ok()
}

/// An address that can be somebody's: not one that means "here", a private network or a documentation.
fn ip_address(text: &str) -> Option<Range<usize>> {
    let address: IpAddr = text.parse().ok()?;
    let is_public = match address {
        IpAddr::V4(address) => is_public_v4(address),
        IpAddr::V6(address) => is_public_v6(address),
    };
    is_public.then_some(0..text.len())
}

/// IANA's special-purpose registry (RFC 6890), as far as it is met in texts.
fn is_public_v4(address: Ipv4Addr) -> bool {
    let [first, second, _, _] = address.octets();
    let shared = first == 100 && (64..128).contains(&second);
    !(first == 0
        || first >= 224
        || shared
        || address.is_private()
        || address.is_loopback()
        || address.is_link_local()
        || address.is_documentation())
}

/// Global unicast is 2000::/3 (RFC 4291); 2001:db8::/32 is for documentation (RFC 3849).
fn is_public_v6(address: Ipv6Addr) -> bool {
    let [first, second, ..] = address.segments();
    first & 0xe000 == 0x2000 && !(first == 0x2001 && second == 0xdb8)
}

/// Numbers that are never given: area 000, 666 and 900 to 999, group 00, serial 0000 (SSA, POMS RM 10201.035); and the
/// one that became known from a wallet's advertisement, 078-05-1120.
fn us_ssn(text: &str) -> Option<Range<usize>> {
    let area = text.get(..3)?;
    let never = matches!(area, "000" | "666")
        || area.starts_with('9')
        || text.get(4..6)? == "00"
        || text.get(7..)? == "0000"
        || text == "078-05-1120";
    (!never).then_some(0..text.len())
}
