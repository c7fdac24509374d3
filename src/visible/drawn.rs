//! Sources of which the page shows a drawing: formulas and diagrams.

use std::collections::BTreeSet;
use std::ops::Range;
use std::sync::LazyLock;

use super::cuts::Cut;
use super::removed::Kind;

/// Commands that print what they are given, in its place and at a size one can read.
const COMMANDS: &str = "alpha beta gamma delta epsilon varepsilon zeta eta theta vartheta iota kappa lambda mu nu xi pi \
    varpi rho varrho sigma varsigma tau upsilon phi varphi chi psi omega Gamma Delta Theta Lambda Xi Pi Sigma Upsilon Phi \
    Psi Omega frac dfrac tfrac sqrt sum prod int iint iiint oint lim limsup liminf inf sup min max arg det dim gcd hom ker \
    deg exp log ln lg sin cos tan cot sec csc sinh cosh tanh arcsin arccos arctan cdot cdots ldots dots vdots ddots times \
    div pm mp ast star circ bullet oplus otimes cap cup setminus subset subseteq supset supseteq in notin ni emptyset \
    varnothing forall exists nexists neg lnot land lor wedge vee implies iff to gets mapsto rightarrow leftarrow \
    Rightarrow Leftarrow leftrightarrow Leftrightarrow longrightarrow Longrightarrow uparrow downarrow le leq ge geq lt gt \
    ne neq equiv approx sim simeq cong propto ll gg mid nmid parallel perp angle triangle infty partial nabla hbar ell Re \
    Im aleph prime left right big Big bigg Bigg bigl bigr Bigl Bigr lfloor rfloor lceil rceil langle rangle lvert rvert \
    lVert rVert vert Vert mathbb mathbf mathcal mathrm mathit mathsf mathtt mathfrak mathscr boldsymbol text textbf textit \
    textrm texttt operatorname hat bar vec dot ddot tilde overline underline widehat widetilde overbrace underbrace \
    overset underset stackrel binom begin end quad qquad limits nolimits pmod bmod mod boxed cases not displaystyle \
    textstyle top bot models vdash square Box blacksquare because therefore bigcup bigcap bigoplus";

static PRINTING: LazyLock<BTreeSet<&str>> = LazyLock::new(|| COMMANDS.split_whitespace().collect());

/// Commands that hide, paint, shrink, move, define or fetch. Where dollars stand about them, one of the many readings
/// of a dollar may be a formula.
const HIDING: [&str; 19] = [
    "bbox",
    "tiny",
    "Tiny",
    "scriptsize",
    "rlap",
    "llap",
    "clap",
    "smash",
    "hspace",
    "kern",
    "mkern",
    "raise",
    "lower",
    "href",
    "style",
    "class",
    "cssId",
    "label",
    "toggle",
];

const ENVIRONMENTS: [&str; 10] = [
    "aligned",
    "align",
    "align*",
    "equation",
    "equation*",
    "matrix",
    "pmatrix",
    "bmatrix",
    "vmatrix",
    "cases",
];

/// Whether a formula may hold text that is not printed.
pub(super) fn formula_hides(tex: &str) -> bool {
    let comment = tex.match_indices('%').any(|(at, _)| !tex[..at].ends_with('\\'));
    let overprint = tex.contains("\\!\\!\\!") || tex.contains("\\\\[");
    let environment = tex
        .split("\\begin{")
        .skip(1)
        .any(|after| !after.split_once('}').is_some_and(|(name, _)| ENVIRONMENTS.contains(&name)));
    comment || overprint || environment || commands(tex).any(|name| !PRINTING.contains(name))
}

fn commands(tex: &str) -> impl Iterator<Item = &str> {
    let parts = tex.replace("\\\\", "  ");
    let ends: Vec<(usize, usize)> = parts
        .match_indices('\\')
        .map(|(at, _)| {
            let name = &parts[at + 1..];
            (at + 1, at + 1 + name.find(|c: char| !c.is_ascii_alphabetic()).unwrap_or(name.len()))
        })
        .filter(|(start, end)| start < end)
        .collect();
    ends.into_iter().map(|(start, end)| &tex[start..end])
}

/// Formulas between dollars in running text, with code blanked out; `offset` is where it stands in the source.
pub(super) fn formulas(flow: &str, offset: usize, cuts: &mut Vec<Cut>) {
    let dollars: Vec<usize> = flow.match_indices('$').map(|(at, _)| at).collect();
    let (Some(&first), Some(&last)) = (dollars.first(), dollars.last()) else { return };
    if first == last {
        return;
    }
    let hides = |name: &str| name.contains("phantom") || name.contains("color") || HIDING.contains(&name);
    if commands(&flow[first..last]).any(hides) {
        cuts.push(Cut::away(offset + first..offset + last + 1, Kind::Math));
        return;
    }
    let mut open: Option<usize> = None;
    for at in dollars {
        if flow[..at].ends_with('\\') {
            continue;
        }
        let (before, after) = (flow[..at].chars().next_back(), flow[at + 1..].chars().next());
        let closes = before.is_some_and(|c| !c.is_whitespace() || flow[..at].ends_with('\n'))
            && after.is_none_or(|c| !c.is_alphanumeric());
        match open {
            Some(start) if closes && at > start + 1 => {
                if formula_hides(&flow[start + 1..at]) {
                    cuts.push(Cut::away(offset + start..offset + at + 1, Kind::Math));
                }
                open = None;
            }
            Some(_) => {}
            None => open = Some(at),
        }
    }
}

/// Languages GitHub draws and does not print.
const MAPS: [&str; 3] = ["geojson", "topojson", "stl"];

/// Statements of Mermaid that draw nothing of their own.
const SILENT: [&str; 10] = [
    "%%",
    "click ",
    "style ",
    "classDef ",
    "class ",
    "linkStyle ",
    "accTitle",
    "accDescr",
    "link ",
    "links ",
];

/// Cuts in a code block that is drawn. Of a map or a solid nothing is printed. In Mermaid lines go that draw nothing,
/// and those that name a node one way and label it another; only a name of two letters is too short to say anything.
pub(super) fn diagram(source: &str, language: &str, body: Range<usize>, cuts: &mut Vec<Cut>) {
    let text = source.get(body.clone()).unwrap_or_default();
    if MAPS.contains(&language) && !text.trim().is_empty() {
        cuts.push(Cut::away(body, Kind::Diagram));
        return;
    }
    if language == "math" && formula_hides(text) {
        cuts.push(Cut::away(body, Kind::Math));
        return;
    }
    if language != "mermaid" {
        return;
    }
    let (mut at, mut braces) = (body.start, 0_usize);
    for line in text.split_inclusive('\n') {
        let bare = line.trim_start_matches(|c: char| c.is_whitespace() || c == '>');
        let silent =
            SILENT.iter().any(|word| bare.starts_with(word)) || bare.contains("%%") || bare.contains(":::");
        if silent && bare.contains('{') && !bare.contains('}') {
            braces += 1;
        }
        if silent || braces > 0 || names_and_labels(bare) {
            cuts.push(Cut::away(at..at + line.len(), Kind::Diagram));
        }
        if braces > 0 && bare.contains('}') {
            braces = 0;
        }
        at += line.len();
    }
}

fn names_and_labels(line: &str) -> bool {
    let labelled = |at: usize| {
        let name = line[..at].trim_end_matches([' ', '[', '(', '{']);
        let last = name.rsplit(|c: char| !(c.is_alphanumeric() || "_-.".contains(c))).next();
        last.unwrap_or_default().trim_matches(['-', '.']).chars().count() > 2
    };
    let quoted = line.find(['[', '(', '{', '@']).is_some()
        && line.match_indices(['[', '(', '{', '@']).any(|(at, _)| labelled(at));
    quoted || line.find(" as ").is_some_and(labelled)
}
