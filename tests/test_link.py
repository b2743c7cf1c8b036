"""A tap leads where the approvers saw that it leads, and nowhere else."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.link import host_of, is_path
from bot.sandbox.sandbox import readable, response
from tests.conftest import OpenSandbox

LEADS = {
    "https://whop.com": "whop.com",
    "https://whop.com/gold?a=1&b=2#top": "whop.com",
    "https://Whop.COM/x": "whop.com",
    "https://a.b-c.example/": "a.b-c.example",
    "https://xn--bcher-kva.example/x": "xn--bcher-kva.example",
}
LEADS_NOWHERE = [
    "whop dot com", "whop.com/x", "htps://whop.com", "http://whop.com", "https:whop.com", "https:/whop.com",
    "https:///whop.com", "https://", "https://whop", "javascript:alert(1)", "JaVaScRiPt://whop.com/%0aalert(1)",
    "data:text/html,x", "tel:+19005550129", "whop://x", "//whop.com/x", "https://whop .com",
    "https://whop.com/a b",
    " https://whop.com", "https://whop.com ", "https://whop.com\n", "https://whop.com\\@evil.example",
    "https://whop.com@evil.example", "https://whop.com:443@evil.example", "https://u:p@whop.com",
    "https://whop.com:8443/",
    "https://1.1.1.1/x", "https://[::1]/x", "https://whop.com./x", "https://.whop.com",
    "https://whоp.com", "https://whop。com",
    "https://bücher.example", "https://whop.com/\u200b", "https://whop.com/ä", "https://-a.example",
    "https://localhost/x",
    "https://whop.com%2eevil.example", "https://whop.com%00.evil.example",
]  # fmt: skip
STAYS = ["/", "/posts/5", "/a/b?x=1&y=%20#z", "/a-b_c.d~e", "/.well-known", "/..a", "/a//b"]
LEAVES = [
    "posts/5", "//evil.example/x", "/\\evil.example", "\\evil", "/ /evil", "/a b",
    "/\t/evil.example", "/../x", "/a/../../x",
    "/a/..", "/./x", "/%2e%2e/x", "/.%2E/x", "/%2f/evil.example", "/%5cevil.example", "/a\n", "/ä",
    "/\u200b", "https://whop.com",
    "", " /x", '/a"b', "/<x>",
]  # fmt: skip


@pytest.mark.parametrize("link", LEADS)
def test_an_absolute_https_address_leads_to_its_host(link: str) -> None:
    assert host_of(link) == LEADS[link]


def test_whatever_two_programs_could_read_differently_leads_nowhere() -> None:
    assert [link for link in LEADS_NOWHERE if host_of(link)] == []


def test_a_path_stays_in_the_app() -> None:
    assert [path for path in STAYS if not is_path(path)] == []
    assert [path for path in LEAVES if is_path(path)] == []


@given(st.text())
def test_no_other_host_hides_in_what_follows_a_listed_one(rest: str) -> None:
    assert host_of(f"https://whop.com/{rest}") in {"whop.com", None}
    assert host_of(f"https://whop.com{rest}") != "evil.example"


async def test_the_host_stands_on_a_line_of_its_own_and_an_unlisted_one_is_refused(
    open_sandbox: OpenSandbox,
) -> None:
    def list_host(text: str) -> str:
        return text.replace("[server.channels]", 'link_hosts = ["status.example"]\n[server.channels]', 1)

    async with open_sandbox("v5", edit_policy=list_host) as sandbox:
        refused = await sandbox.compose(link="https://whop.com/gold")
        said = readable(response(refused)).replace("\\", "")
        assert (
            "The link leads to whop.com, which link_hosts in herald.toml does not list (status.example)."
            in said
        )
        await sandbox.submit(await sandbox.compose(link="https://status.example/gold"))
        assert "A tap leads to: **status.example**\n" in readable(sandbox.review_card())


@pytest.mark.parametrize(
    ("generation", "link"), [("v5", "htps://whop.com"), ("v5", "javascript:1"), ("v1", "//evil.example/x")]
)
async def test_a_link_that_leads_elsewhere_cannot_be_submitted(
    open_sandbox: OpenSandbox, generation: str, link: str
) -> None:
    async with open_sandbox(generation) as sandbox:
        draft = response(await sandbox.compose(link=link))
        assert "Ask for approval" not in [
            one.label for row in draft.components for one in getattr(row, "children", [])
        ]
