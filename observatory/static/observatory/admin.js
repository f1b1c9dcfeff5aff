// Keeps django-unfold 0.91.0 inside a policy without eval and without inline styles. Loaded before htmx and Alpine start.
// tests/journeys/test_admin_shell.py fails on any violation; tests/observatory/test_admin_look.py fails when a line of
// REWRITES no longer has its original in Unfold's templates.
(() => {
  "use strict";

  // htmx: no expressions from attributes, no <style> of its own, no style attribute copied from the old element to the new.
  htmx.config.allowEval = false;
  htmx.config.includeIndicatorStyles = false;
  htmx.config.attributesToSettle = ["class", "width", "height"];
  // No page kept in the browser's storage; going back loads it again.
  htmx.config.historyCacheSize = 0;
  htmx.config.refreshOnHistoryMiss = true;

  // Expressions that Alpine's own parser cannot read: statements, arrow functions; and a style given as a string.
  // attribute, what Unfold wrote, what is evaluated
  const REWRITES = [
    // unfold/layouts/skeleton.html; the watcher that it also starts is toggleSidebar() below.
    ["x-init", /^\s*activeTab = ([^;]+);\s*\$watch\('sidebarDesktopOpen',.*\);\s*$/s, "activeTab = $1"],
    // unfold/templatetags/unfold.py, changeform_condition()
    ["x-init", /^const \$ = django\.jQuery; .* const select = \$\('#([\w-]+)'\); .* (\w+) = select\.val\(\); .*$/s,
      "followSelect('$1', '$2')"],
    // unfold/helpers/welcomemsg.html
    ["x-on:click", /^sidebarDesktopOpen = !sidebarDesktopOpen; .*$/s, "toggleSidebar()"],
    // unfold/helpers/command.html
    ["x-on:keydown.enter.prevent", /^if \(!\$event\.metaKey && !\$event\.ctrlKey\) (selectItem\(.*\))$/s,
      "!$event.metaKey && !$event.ctrlKey && $1"],
    // admin/actions.html; an object is set through the CSSOM, a string through the style attribute.
    ["x-bind:style", /^'width: ' \+ changeListWidth \+ 'px'$/, "{width: changeListWidth + 'px'}"],
  ];

  function rewrite(element) {
    for (const [name, written, evaluated] of REWRITES) {
      const value = element.getAttribute(name);
      if (value !== null && written.test(value)) {
        element.setAttribute(name, value.replace(written, evaluated));
      }
    }
  }

  // What Unfold's expressions use of the browser; Alpine's parser refuses the real globals.
  const browser = Object.freeze({
    location: Object.freeze({
      get pathname() { return location.pathname; },
      get search() { return location.search; },
      get hash() { return location.hash; },
      set href(address) { location.href = address; },
    }),
  });
  const storage = Object.freeze({ getItem: (name) => localStorage.getItem(name) });

  // The component on <html>: Unfold's own, plus the names that its templates expect to find as globals.
  function root(...args) {
    return {
      ...theme(...args),
      window: browser,
      localStorage: storage,
      getCurrentTab: () => getCurrentTab(),
      sortRecords: (event) => sortRecords(event),
      moveRecords: (event) => moveRecords(event),
      toggleSidebar() {
        this.sidebarDesktopOpen = !this.sidebarDesktopOpen;
        localStorage.setItem("sidebarDesktopOpen", this.sidebarDesktopOpen ? "1" : "0");
      },
      // select2 tells jQuery of a choice, not the browser.
      followSelect(id, name) {
        const scope = this;
        django.jQuery(() => {
          const select = django.jQuery(`#${id}`);
          select.on("change", () => { scope[name] = select.val(); });
        });
      },
    };
  }

  document.addEventListener("alpine:init", () => {
    Alpine.interceptInit(rewrite);
    Alpine.data("theme", root);
    Alpine.data("searchForm", () => searchForm());
    Alpine.data("searchCommand", () => searchCommand());
  });

  // Unfold adds and removes inline rows by writing their HTML again; a style attribute in it would be a violation.
  // Alpine sets the styles anew when it meets the new row.
  function withoutStyles(rows) {
    for (const row of rows) {
      row.querySelectorAll("[style]").forEach((element) => element.removeAttribute("style"));
    }
  }

  document.addEventListener("click", (event) => {
    const formset = event.target.closest(".formset");
    if (formset && event.target.closest(".add-row")) {
      withoutStyles(formset.querySelectorAll(":scope > .empty-form"));
    }
    const row = event.target.closest(".delete-template") && event.target.closest(".form-group");
    for (let next = row && row.nextElementSibling; next; next = next.nextElementSibling) {
      withoutStyles([next]);
    }
  }, { capture: true });
})();
