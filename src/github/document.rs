//! What cq asks GraphQL. The tests hold every document against GitHub's schema.

mod pulls;

pub(super) use pulls::{AUTO_MERGE, ENQUEUE, FAILURE, PROGRESS, REVERT};

/// What is read of an issue's events, on every page.
macro_rules! events {
    () => {
        "{
        pageInfo { hasPreviousPage startCursor }
        nodes {
          __typename
          ... on LabeledEvent { createdAt actor { __typename login } label { name } }
          ... on UnlabeledEvent { createdAt actor { __typename login } label { name } }
          ... on RenamedTitleEvent { createdAt actor { __typename login } }
          ... on TransferredEvent { createdAt actor { __typename login } }
        }
      }"
    };
}

/// What is read of its comments.
macro_rules! comments {
    () => {
        "{
        pageInfo { hasPreviousPage startCursor }
        nodes {
          fullDatabaseId author { __typename login } createdAt lastEditedAt
          editor { __typename login } isMinimized body @include(if: $text)
        }
      }"
    };
}

/// A hundred issues by their node ids.
pub(super) const DETAILS: &str = concat!(
    "
query Details($ids: [ID!]!, $text: Boolean!) {
  nodes(ids: $ids) {
    __typename
    ... on Issue {
      id number title body locked activeLockReason createdAt updatedAt lastEditedAt
      editor { __typename login }
      author { __typename login }
      labels(first: 100) { totalCount nodes { name } }
      userContentEdits(first: 100) { totalCount nodes { editedAt editor { __typename login } } }
      timelineItems(
        last: 100
        itemTypes: [LABELED_EVENT, UNLABELED_EVENT, RENAMED_TITLE_EVENT, TRANSFERRED_EVENT]
      ) ",
    events!(),
    "
      comments(last: 100) ",
    comments!(),
    "
      blockedBy(first: 100) { totalCount nodes { number state repository { nameWithOwner } } }
      subIssues(first: 100) { totalCount nodes { number state repository { nameWithOwner } } }
      closedByPullRequestsReferences(first: 20, includeClosedPrs: false) {
        totalCount
        nodes { number state author { __typename login } repository { nameWithOwner } }
      }
    }
  }
}"
);

/// Earlier pages of one issue's history.
pub(super) const MORE: &str = concat!(
    "
query More(
  $id: ID!, $events: String, $withEvents: Boolean!, $comments: String, $withComments: Boolean!, $text: Boolean!
) {
  node(id: $id) {
    ... on Issue {
      timelineItems(
        last: 100, before: $events
        itemTypes: [LABELED_EVENT, UNLABELED_EVENT, RENAMED_TITLE_EVENT, TRANSFERRED_EVENT]
      ) @include(if: $withEvents) ",
    events!(),
    "
      comments(last: 100, before: $comments) @include(if: $withComments) ",
    comments!(),
    "
    }
  }
}"
);

/// One issue or pull request, as a part of [`blockers`]: `r0` asks for `$n0` of `$o0/$p0`. The two states are of
/// different types, which GraphQL wants under different names.
fn blocker(index: usize) -> String {
    format!(
        "  r{index}: repository(owner: $o{index}, name: $p{index}) {{ issueOrPullRequest(number: $n{index}) {{ __typename
    ... on PullRequest {{ pullRequestState: state }}
    ... on Issue {{
      state body
      blockedBy(first: 50) {{ nodes {{ number state repository {{ nameWithOwner }} }} }}
      subIssues(first: 100) {{ nodes {{ number state repository {{ nameWithOwner }} }} }}
    }}
  }} }}\n"
    )
}

/// Some issues and pull requests anywhere, by name and number.
pub(super) fn blockers(count: usize) -> String {
    let parameters: Vec<String> =
        (0..count).map(|index| format!("$o{index}: String!, $p{index}: String!, $n{index}: Int!")).collect();
    let fields: String = (0..count).map(blocker).collect();
    format!("query Blockers({}) {{\n{fields}}}", parameters.join(", "))
}

/// The states of some numbers of `$owner/$name`.
pub(super) fn states(numbers: &[u64]) -> String {
    let field = |number: &u64| {
        format!(
            "    n{number}: issueOrPullRequest(number: {number}) {{ __typename ... on Issue {{ number state }} }}\n"
        )
    };
    let fields: String = numbers.iter().map(field).collect();
    format!(
        "query States($owner: String!, $name: String!) {{\n  repository(owner: $owner, name: $name) {{\n{fields}  }}\n}}"
    )
}

#[cfg(test)]
mod tests;
