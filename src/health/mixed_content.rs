//! Whether an https page names plain http resources: its `link`, `script` and `img` elements.

use html5gum::{DefaultEmitter, HtmlString, StartTag, Token, Tokenizer};

/// How many addresses a failure names.
const NAMED: usize = 3;

/// How much of an address a failure shows, in characters.
const SHOWN: usize = 120;

/// Fails with the first few plain http addresses that the page loads.
pub(super) fn check(page: &str) -> Result<(), String> {
    let plain = plain_resources(page);
    if plain.is_empty() {
        return Ok(());
    }
    let named: Vec<String> = plain.iter().take(NAMED).map(|url| url.chars().take(SHOWN).collect()).collect();
    let more = plain.len().saturating_sub(NAMED);
    let more = if more > 0 { format!(" and {more} more") } else { String::new() };
    Err(format!("the page loads over plain http: {}{more}", named.join(", ")))
}

fn plain_resources(page: &str) -> Vec<String> {
    let mut emitter = DefaultEmitter::default();
    // The text of scripts, styles and titles is no markup.
    emitter.naively_switch_states(true);
    let mut base_is_plain = None;
    let mut plain = Vec::new();
    for Ok(token) in Tokenizer::new_with_emitter(page, emitter) {
        let Token::StartTag(tag) = token else { continue };
        if *tag.name == b"base"[..] {
            // Only the first one with an address counts.
            base_is_plain = base_is_plain.or_else(|| Some(is_plain(&attribute(&tag, "href")?)));
        }
        let relative_is_plain = base_is_plain == Some(true);
        let is_bad = |url: &String| is_plain(url) || (relative_is_plain && is_relative(url));
        plain.extend(resources(&tag).into_iter().filter(is_bad));
    }
    plain
}

/// The addresses that an element loads.
fn resources(tag: &StartTag<()>) -> Vec<String> {
    let single = |name: &str| attribute(tag, name).into_iter().collect();
    match &tag.name[..] {
        b"link" => single("href"),
        b"script" => single("src"),
        b"img" => {
            let mut urls: Vec<String> = single("src");
            urls.extend(attribute(tag, "srcset").iter().flat_map(|set| candidates(set)));
            urls
        }
        _ => Vec::new(),
    }
}

fn attribute(tag: &StartTag<()>, name: &str) -> Option<String> {
    let value = tag.attributes.get(&HtmlString::from(name.as_bytes().to_vec()))?;
    let text = String::from_utf8_lossy(value);
    // As browsers read addresses: nothing around them, and no tabs or line ends within.
    let text = text.trim_matches(|c: char| c.is_ascii_whitespace() || c.is_ascii_control());
    Some(text.replace(['\t', '\n', '\r'], ""))
}

/// The addresses of a `srcset`: each is followed by descriptors up to a comma.
fn candidates(set: &str) -> Vec<String> {
    let mut urls = Vec::new();
    let mut in_descriptors = false;
    for word in set.split_ascii_whitespace() {
        if !in_descriptors {
            urls.push(word.trim_matches(',').to_owned());
        }
        in_descriptors = !word.ends_with(',');
    }
    urls
}

fn is_plain(url: &str) -> bool {
    url.get(..5).is_some_and(|scheme| scheme.eq_ignore_ascii_case("http:"))
}

fn is_relative(url: &str) -> bool {
    let scheme = url.split_once(':').map(|(scheme, _)| scheme);
    !scheme.is_some_and(|scheme| {
        scheme.starts_with(|c: char| c.is_ascii_alphabetic())
            && scheme.chars().all(|c| c.is_ascii_alphanumeric() || "+-.".contains(c))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn plain(page: &str, wanted: &[&str]) {
        assert_eq!(plain_resources(page), wanted, "{page}");
    }

    #[test]
    fn plain_http_in_link_script_and_img_is_found() {
        plain("<link rel=stylesheet href=http://a/x.css>", &["http://a/x.css"]);
        plain("<SCRIPT SRC='HTTP://a/x.js'></SCRIPT>", &["HTTP://a/x.js"]);
        plain("<img alt=\"\" src=\"\n http://a/x.png\"/>", &["http://a/x.png"]);
        plain("<img srcset='/a.png 1x, http://a/b.png 2x,http://a/c.png'>", &["http://a/b.png"]);
        plain("<script src='h\nttp&colon;//a/x.js'></script>", &["http://a/x.js"]);
    }

    #[test]
    fn https_relative_and_other_addresses_are_fine() {
        plain("<img src=https://a/x><img src=//a/x><img src=/x><img src=x><img src='data:,http:'><img>", &[]);
        plain("<link href=httpx:y><link href=/?u=http://b/>", &[]);
    }

    #[test]
    fn links_that_people_follow_do_not_count() {
        plain("<a href=http://a/>a</a><form action=http://a/></form>", &[]);
    }

    #[test]
    fn text_in_comments_scripts_styles_and_titles_is_no_markup() {
        plain("<!-- <img src=http://a/x> --><script>'<img src=http://a/x>'</script>", &[]);
        plain("<title><img src=http://a/></title><style><img src=http://a/></style>", &[]);
        plain("<script>let a = 1;</script><img src=http://a/x>", &["http://a/x"]);
    }

    #[test]
    fn a_plain_base_makes_relative_addresses_plain() {
        plain("<base target=_top><base href=http://a/><img src=x.png><img src=https://b/>", &["x.png"]);
        plain("<base href=https://a/><base href=http://a/><img src=x.png>", &[]);
    }

    #[test]
    fn the_failure_names_the_first_few() {
        let page = ["0", "1", "2", "3", "4"].map(|n| format!("<img src=http://a/{n}>")).concat();
        let failure = check(&page).unwrap_err();
        assert_eq!(failure, "the page loads over plain http: http://a/0, http://a/1, http://a/2 and 2 more");
    }

    #[test]
    fn broken_markup_is_read_to_its_end() {
        plain("<img src=http://a/x", &[]);
        plain("<<img <img src=http://a/x>", &["http://a/x"]);
    }
}
