//! Several files as one configuration.

use super::spanned::{Kind, Member, Node};

/// The objects whose keys may come from several files. Any other key that two files set stays there twice, and is
/// reported as any duplicate is.
const SHARED: [&[&str]; 11] = [
    &[],
    &["host"],
    &["apps"],
    &["sweep"],
    &["sweep", "recipes"],
    &["nightly"],
    &["nightly", "busy"],
    &["gc"],
    &["gc", "logs"],
    &["alerts"],
    &["alerts", "sinks"],
];

/// Merges the objects that the files hold, in their order; `None` without any.
pub(super) fn merge(roots: Vec<Node<'_>>) -> Option<Node<'_>> {
    let mut merged: Option<Node<'_>> = None;
    let mut all = Vec::new();
    for root in roots {
        if let Kind::Object(members) = root.kind {
            all.extend(members);
            merged.get_or_insert(Node { span: root.span, kind: Kind::Null });
        }
    }
    merged.map(|root| Node { kind: Kind::Object(joined(all, &mut Vec::new())), ..root })
}

/// Joins the objects under equal keys of different files, where that is allowed.
fn joined<'a>(mut all: Vec<Member<'a>>, path: &mut Vec<String>) -> Vec<Member<'a>> {
    all.sort_by(|a, b| a.key.cmp(&b.key));
    let mut kept: Vec<Member<'a>> = Vec::with_capacity(all.len());
    for member in all {
        match kept.last_mut() {
            Some(last) if last.key == member.key && last.key_span.file != member.key_span.file => {
                path.push(member.key.to_string());
                if let Some(apart) = join(last, member, path) {
                    kept.push(apart);
                }
                path.pop();
            }
            _ => kept.push(member),
        }
    }
    kept
}

/// Joins a member into one of another file, or gives it back.
fn join<'a>(into: &mut Member<'a>, from: Member<'a>, path: &mut Vec<String>) -> Option<Member<'a>> {
    let shared = SHARED.iter().any(|keys| keys.iter().eq(path.iter()));
    match (&mut into.value.kind, from.value.kind) {
        (Kind::Object(here), Kind::Object(there)) if shared => {
            let mut all = std::mem::take(here);
            all.extend(there);
            *here = joined(all, path);
            None
        }
        // Every file may name its format.
        (Kind::Number(here), Kind::Number(there)) if path.as_slice() == ["schema"] && *here == there => None,
        (_, _) if path.as_slice() == ["$schema"] => None,
        (_, kind) => Some(Member { value: Node { kind, ..from.value }, ..from }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::source::Source;
    use crate::config::spanned::read;

    fn merged(texts: &[&str]) -> String {
        let sources: Vec<_> = texts.iter().map(|text| Source::new("x".into(), (*text).into())).collect();
        let roots = sources.iter().enumerate().map(|(file, source)| read(file, source).unwrap()).collect();
        let root = merge(roots).unwrap();
        let Kind::Object(members) = &root.kind else { panic!("no object") };
        let shown: Vec<_> = members.iter().map(|m| format!("{}={}", m.key, m.value.plain())).collect();
        shown.join(" ")
    }

    #[test]
    fn sections_are_joined_key_by_key() {
        let texts = [
            r#"{"schema":1,"apps":{"b":1},"sweep":{"recipes":{"r":1}}}"#,
            r#"{"apps":{"a":2},"sweep":{"recipes":{"s":2},"jobs":3}}"#,
        ];
        assert_eq!(merged(&texts), r#"apps={"a":2,"b":1} schema=1 sweep={"jobs":3,"recipes":{"r":1,"s":2}}"#);
    }

    #[test]
    fn what_is_no_section_stays_there_twice() {
        let root = merged(&[r#"{"apps":1}"#, r#"{"apps":2}"#]);
        assert_eq!(root, "apps=1 apps=2");
    }

    #[test]
    fn every_file_may_name_its_format() {
        assert_eq!(merged(&[r#"{"schema":1}"#, r#"{"schema":1}"#]), "schema=1");
        assert_eq!(merged(&[r#"{"schema":1}"#, r#"{"schema":0}"#]), "schema=1 schema=0");
    }
}
