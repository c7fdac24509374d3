//! What is asked of pull requests.

/// What is read of somebody's words, wherever they stand.
macro_rules! words {
    () => {
        "id author { __typename login } body lastEditedAt editor { __typename login } isMinimized createdAt updatedAt"
    };
}

/// What is read of a commit's checks; `$more` is what only a pull request's have.
macro_rules! rollup {
    ($more:literal) => {
        concat!(
            "{
        contexts(first: 100) {
          pageInfo { hasNextPage }
          nodes {
            __typename
            ... on CheckRun {
              id name status conclusion startedAt completedAt
              checkSuite { app { slug } workflowRun { event workflow { name } } }",
            $more,
            " }
            ... on StatusContext { id context state description createdAt",
            $more,
            " }
          }
        }
      }"
        )
    };
}

/// A pull request with everything that decides what becomes of it.
pub(in crate::github) const PROGRESS: &str = concat!(
    "
query Progress($owner: String!, $name: String!, $number: Int!) {
  repository(owner: $owner, name: $name) {
    autoMergeAllowed
    pullRequest(number: $number) {
      id number url title state isDraft headRefName headRefOid baseRefName mergeable mergeStateStatus
      isInMergeQueue isMergeQueueEnabled
      autoMergeRequest { enabledAt }
      mergeCommit { oid }
      author { __typename login }
      reviews(last: 100) { pageInfo { hasPreviousPage } nodes { ",
    words!(),
    " state submittedAt commit { oid } } }
      reviewThreads(last: 100) {
        pageInfo { hasPreviousPage }
        nodes {
          isResolved path line
          comments(first: 100) { nodes { ",
    words!(),
    " fullDatabaseId state } }
        }
      }
      comments(last: 100) { nodes { ",
    words!(),
    " } }
      statusCheckRollup ",
    rollup!(" isRequired(pullRequestNumber: $number)"),
    "
      baseRef {
        refUpdateRule { requiredStatusCheckContexts requiredApprovingReviewCount }
        target { __typename oid ... on Commit { statusCheckRollup ",
    rollup!(""),
    " } }
      }
    }
  }
}"
);

/// What a check run tells of its failure.
pub(in crate::github) const FAILURE: &str = "
query Failure($id: ID!) {
  node(id: $id) {
    ... on CheckRun {
      name title summary text detailsUrl databaseId
      checkSuite { app { slug } }
      annotations(first: 20) {
        nodes { path message annotationLevel title location { start { line } } }
      }
    }
  }
}";

/// Puts a pull request into the queue of its base.
pub(in crate::github) const ENQUEUE: &str = "
mutation Enqueue($id: ID!, $head: GitObjectID!) {
  enqueuePullRequest(input: {pullRequestId: $id, expectedHeadOid: $head}) { mergeQueueEntry { id } }
}";

/// Lets GitHub merge a pull request when everything that its base asks for is there.
pub(in crate::github) const AUTO_MERGE: &str = "
mutation AutoMerge($id: ID!, $head: GitObjectID!, $method: PullRequestMergeMethod!) {
  enablePullRequestAutoMerge(input: {pullRequestId: $id, expectedHeadOid: $head, mergeMethod: $method}) {
    pullRequest { id }
  }
}";

/// Opens a pull request that takes a merged one back.
pub(in crate::github) const REVERT: &str = "
mutation Revert($id: ID!, $title: String!, $body: String!) {
  revertPullRequest(input: {pullRequestId: $id, title: $title, body: $body}) {
    revertPullRequest { number url headRefOid state isDraft }
  }
}";
