"""An edit of the policy from the keyboard: fields, the difference, the proposal, and a vote on it."""

import pytest


def press_until(page, selector, *, key="Tab", most=120):
    """Press a key until something has the focus."""
    for _ in range(most):
        if page.evaluate("wanted => document.activeElement.matches(wanted)", selector):
            return
        page.keyboard.press(key)
    pytest.fail(f"the keyboard does not reach {selector}")


def enter(page):
    """Press Enter and wait for the page it leads to."""
    with page.expect_navigation():
        page.keyboard.press("Enter")


@pytest.mark.parametrize("size", ["wide", "phone"])
def test_a_policy_is_edited_and_its_difference_read_with_the_keyboard_alone(sign_in, keep, size):
    page = sign_in("olga", size=size)
    page.goto("/settings/policies/edit?from=1")
    press_until(page, "#rule-0-seat_operations")
    page.keyboard.type("1")
    press_until(page, "#rule-0-minutes")
    page.keyboard.type("15")
    press_until(page, "#rule-0-factor")
    page.keyboard.press("ArrowDown")
    keep(page, f"policy-typed-{size}")
    press_until(page, "#rule-0-minutes", key="Shift+Tab")
    enter(page)  # shows the difference: it takes no rule away and saves nothing

    assert page.locator("h1").inner_text() == "What would change"
    assert "At most 15 minutes old, with a second factor" in page.locator("main").inner_text()
    keep(page, f"policy-shown-{size}")
    press_until(page, "button[value=back]")
    enter(page)
    assert page.locator("#rule-0-minutes").input_value() == "15"
    assert page.locator("#rule-0-factor").input_value() == "on"

    before = page.locator("section[role=group]").count()
    press_until(page, "button[value=add]")
    enter(page)
    assert page.locator("section[role=group]").count() == before + 1
    assert page.evaluate("() => document.activeElement.id") == f"rule-{before}"


def test_who_is_refused_is_led_to_the_field(sign_in, keep):
    page = sign_in("olga")
    page.goto("/settings/policies/edit")
    page.locator("#rule-1-minutes").fill("2000")
    with page.expect_navigation():
        page.locator(".btn[value=show]").click()
    keep(page, "policy-refused")
    assert page.evaluate("() => document.activeElement.id") == "rule-1-minutes"
