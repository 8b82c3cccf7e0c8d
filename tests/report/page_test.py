"""The page in a browser: it renders without a word of complaint, its filters and links work, in
light, dark and on a phone."""

import pathlib
import tempfile
import unittest

from selenium import webdriver
from selenium.webdriver.chrome.service import Service
from selenium.webdriver.common.by import By
from selenium.webdriver.support.ui import Select, WebDriverWait

from results import Results


class PageTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.directory = tempfile.TemporaryDirectory()
        results = Results(pathlib.Path(cls.directory.name) / "verify")
        results.refute("request_then_idle_1_1_spurious", "request_then_idle_without_order")
        cls.document, report = results.write()
        cls.address = f"file://{report.directory}/index.html"
        options = webdriver.ChromeOptions()
        for argument in ("--headless=new", "--no-sandbox", "--disable-gpu",
                         "--disable-dev-shm-usage", "--window-size=1440,900"):
            options.add_argument(argument)
        options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
        cls.browser = webdriver.Chrome(service=Service("chromedriver"), options=options)
        cls.browser.execute_cdp_cmd("Network.enable", {})
        cls.browser.execute_cdp_cmd("Network.setBlockedURLs", {"urls": ["http*"]})

    @classmethod
    def tearDownClass(cls):
        cls.browser.quit()
        cls.directory.cleanup()

    def open(self, fragment="", theme="light", phone=False):
        self.browser.execute_cdp_cmd(
            "Emulation.setEmulatedMedia",
            {"features": [{"name": "prefers-color-scheme", "value": theme}]})
        if phone:
            self.browser.execute_cdp_cmd(
                "Emulation.setDeviceMetricsOverride",
                {"width": 390, "height": 844, "deviceScaleFactor": 2, "mobile": True})
        else:
            self.browser.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})
        self.browser.get("about:blank")
        self.browser.get(self.address + fragment)

    def all(self, selector):
        return self.browser.find_elements(By.CSS_SELECTOR, selector)

    def one(self, selector):
        return self.browser.find_element(By.CSS_SELECTOR, selector)

    def shown(self, selector):
        return [node for node in self.all(selector) if node.is_displayed()]

    def tearDown(self):
        self.assertEqual(self.browser.get_log("browser"), [])

    def test_renders_in_light_dark_and_on_a_phone(self):
        grounds = set()
        for theme in ("light", "dark"):
            for phone in (False, True):
                self.open(theme=theme, phone=phone)
                self.assertEqual(self.one("h1").text, "Failed")
                grounds.add(
                    self.browser.execute_script(
                        "return getComputedStyle(document.body).backgroundColor"))
                self.assertLessEqual(
                    self.browser.execute_script("return document.documentElement.scrollWidth"),
                    self.browser.execute_script("return innerWidth"))
                self.assertEqual(len(self.all(".evidence tbody tr")),
                                 len(self.document["properties"]))
                self.assertTrue(self.all("#comparison-chart circle"))
                self.assertTrue(self.all("#duration-chart rect"))
        self.assertEqual(len(grounds), 2)
        self.one("#theme").click()
        self.assertIn(
            self.browser.execute_script("return getComputedStyle(document.body).backgroundColor"),
            grounds)

    def test_every_link_leads_somewhere(self):
        self.open()
        dead = self.browser.execute_script("""
          return [...document.querySelectorAll("a[href^='#']")]
            .map(link => decodeURIComponent(link.hash.slice(1)))
            .filter(id => id && !document.getElementById(id) && !counterexamples.has(id));""")
        self.assertEqual(dead, [])

    def test_a_cell_of_the_evidence_filters_its_scenarios(self):
        self.open()
        self.one("#P6 td a[data-kind=scenario]").click()
        self.assertEqual([
            row.find_element(By.CSS_SELECTOR, ".name").text
            for row in self.shown("#scenario-table tbody tr")
        ], ["snapshot_in_the_middle_1_1"])
        Select(self.one("[data-for=scenario-table] [data-key=property]")).select_by_value("")
        Select(self.one("[data-for=scenario-table] [data-key=state]")).select_by_value("failed")
        self.assertEqual([
            row.find_element(By.CSS_SELECTOR, ".name").text
            for row in self.shown("#scenario-table tbody tr")
        ], ["request_then_idle_1_1_spurious"])

    def test_a_counterexample_has_its_lanes_and_leads_to_the_source(self):
        self.open()
        self.one(".failure p a[href^='#c']").click()
        WebDriverWait(self.browser, 5).until(lambda _: self.all("#counterexample svg path"))
        self.assertEqual([node.text for node in self.all("#counterexample .head")],
                         ["main", "t0", "t1", "w0"])
        self.assertEqual(len(self.all("#counterexample .step")), 16)
        self.assertIn("scripts/verify replay", self.one("#counterexample .replay code").text)
        self.one("#counterexample .copy").click()
        site = self.all("#counterexample a.where")[-1]
        name = site.get_attribute("href").split("#")[1]
        self.browser.execute_script("arguments[0].click()", site)
        WebDriverWait(self.browser, 5).until(lambda _: self.browser.execute_script(
            "return document.getElementById(arguments[0]).checkVisibility()", name))

    def test_lanes_on_a_phone_stand_below_each_other(self):
        self.open(phone=True)
        self.one(".failure p a[href^='#c']").click()
        self.assertTrue(self.shown("#counterexample .step .lane"))
        self.assertFalse(self.shown("#counterexample .head"))

    def test_lines_show_their_changes(self):
        self.open()
        Select(self.one("#line-filters [data-key=show]")).select_by_value("mutants")
        button = self.shown(".who")[0]
        self.browser.execute_script("arguments[0].click()", button)
        self.assertTrue(self.all(".mutants .badge"))
        mutated = {(check["file"], check["line"])
                   for check in self.document["checks"] if check["kind"] == "mutant"}
        self.assertEqual(
            len(
                self.browser.execute_script(
                    "return [...document.querySelectorAll('.row:not([hidden])')].map(n => n.id)")),
            len(mutated))

    def test_generated_programs_have_their_sizes(self):
        self.open()
        self.assertEqual(len(self.all("#program-table tbody tr")),
                         len(self.document["programs"]["histogram"]))

    def test_coverage_has_a_row_for_each_kind_of_test_and_the_reasons(self):
        self.open()
        coverage = self.document["coverage"]
        self.assertEqual(len(self.all("#coverage-table tbody tr")), len(coverage["by_kind"]) + 1)
        self.assertEqual(len(self.all("#coverage details li")), len(coverage["not_reached"]))

    def test_counterexamples_are_found_by_word_and_origin(self):
        self.open()
        Select(self.one("#counterexample-filters [data-key=purpose]")).select_by_value("weakening")
        self.assertEqual(
            len(
                self.browser.execute_script(
                    "return [...document.querySelectorAll('#counterexample-list li:not([hidden])')]"
                )), 2)
        self.one("#counterexample-filters input").send_keys("T2")
        self.assertEqual(
            len(
                self.browser.execute_script(
                    "return [...document.querySelectorAll('#counterexample-list li:not([hidden])')]"
                )), 1)


if __name__ == "__main__":
    unittest.main()
