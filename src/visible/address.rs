//! Where a link leads: an address as plain as an address has to be.
//!
//! The page shows it in a corner of the window while the pointer rests on the link, so it stays; but not as a place for
//! prose. Scheme, host and path stay up to a length; a query or a fragment only while short; percent escapes only as
//! far as they spell letters, and few. An image's address is shown nowhere: of it only GitHub's own upload paths stay,
//! which the author of an issue cannot choose, and of others the host.

use percent_encoding::percent_decode_str;

use super::characters;

const LONGEST_HOST: usize = 80;
const LONGEST_PATH: usize = 160;
/// Query and fragment together, with their marks.
const LONGEST_REST: usize = 100;
const MOST_ESCAPES: usize = 12;

/// Where GitHub puts uploaded images.
const UPLOADS: [&str; 3] = [
    "https://github.com/user-attachments/assets/",
    "https://user-images.githubusercontent.com/",
    "https://private-user-images.githubusercontent.com/",
];

/// What stays of a link's address; none of one that GitHub would not link to.
pub(super) fn link(address: &str) -> Option<String> {
    if !plain(address) {
        return None;
    }
    if let Some(mail) = address.strip_prefix("mailto:") {
        let mail = mail.split('?').next().unwrap_or_default();
        return (mail.len() <= LONGEST_HOST && fair(mail)).then(|| format!("mailto:{mail}"));
    }
    let (place, rest) = address.split_at(address.find(['?', '#']).unwrap_or(address.len()));
    let (site, path) = match place.split_once("//") {
        Some((scheme, after)) if matches!(scheme.to_ascii_lowercase().as_str(), "http:" | "https:" | "") => {
            let host = after.split('/').next().unwrap_or_default();
            if host.is_empty() || host.len() > LONGEST_HOST || host.contains(['@', '%']) {
                return None;
            }
            place.split_at(scheme.len() + 2 + host.len())
        }
        _ if place.split('/').next().is_some_and(|first| first.contains(':')) => return None,
        _ => ("", place),
    };
    let path = if path.len() <= LONGEST_PATH && fair(path) { path } else { "/" };
    let rest = if rest.len() <= LONGEST_REST && fair(rest) { rest } else { "" };
    Some(format!("{site}{path}{rest}"))
}

/// What stays of an image's address.
pub(super) fn image(address: &str) -> Option<String> {
    let link = link(address)?;
    if let Some(upload) = UPLOADS.iter().find(|upload| link.starts_with(*upload)) {
        let name = |c: char| c.is_ascii_hexdigit() || "-/.pngjw".contains(c);
        let end = link[upload.len()..].find(|c| !name(c)).map_or(link.len(), |at| upload.len() + at);
        return (end - upload.len() <= 100).then(|| link[..end].to_owned());
    }
    let (scheme, after) = link.split_once("//")?;
    Some(format!("{scheme}//{}", after.split(['/', '?', '#']).next().unwrap_or_default()))
}

/// What follows the path of an address on github.com in running text, which GitHub shortens to a reference: where it
/// starts, if it is more than that reference needs.
pub(super) fn excess(address: &str) -> Option<usize> {
    let at = address.find(['?', '#'])?;
    (address.len() - at > 64 || !fair(&address[at..])).then_some(at)
}

fn plain(address: &str) -> bool {
    let markup = |c: char| c.is_whitespace() || "\"'`<>[]\\{}|^".contains(c);
    !address.contains(markup) && !characters::any_hidden(address)
}

fn fair(part: &str) -> bool {
    if part.matches('%').count() > MOST_ESCAPES {
        return false;
    }
    let spelled = percent_decode_str(part).decode_utf8();
    spelled.is_ok_and(|text| !text.contains(char::is_whitespace) && !characters::any_hidden(&text))
}
