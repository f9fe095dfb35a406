# SPDX-License-Identifier: Apache-2.0
"""hack/tidy finds what it is there to find, and nothing in code that is as it should be."""

import pathlib
import sys
import tempfile
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2] / "hack/lib/tidy"))

import generated  # noqa: E402
import headers  # noqa: E402
import named_tests  # noqa: E402
import structure  # noqa: E402
import text_rules  # noqa: E402
from cxx_text import blank_no_code, functions  # noqa: E402
from finding import SourceFile  # noqa: E402

LICENCE = "// SPDX-License-Identifier: Apache-2.0\n"


def lines_found(check, path, text):
    """Line numbers of what `check` finds in a file of this path and text."""
    return [finding.line for finding in check([SourceFile(path, text)])]


class TextRules(unittest.TestCase):
    def test_a_source_file_begins_with_its_licence(self):
        self.assertEqual(lines_found(text_rules.check_spdx, "a.cc", "int a;\n"), [1])
        self.assertEqual(lines_found(text_rules.check_spdx, "hack/x", "#!/bin/sh\necho\n"), [1])
        self.assertEqual(lines_found(text_rules.check_spdx, "a.cc", LICENCE), [])
        self.assertEqual(lines_found(text_rules.check_spdx, "notes.txt", "a\n"), [])

    def test_long_lines_are_found_unless_they_cannot_be_broken(self):
        long_line = "x" * 101 + "\n"
        self.assertEqual(lines_found(text_rules.check_line_length, "a.cc", "\n" + long_line), [2])
        link = "// https://" + "x" * 100 + "\n"
        self.assertEqual(lines_found(text_rules.check_line_length, "a.cc", link), [])
        data = 'auto a = R"(\n' + long_line + ')";\n'
        self.assertEqual(lines_found(text_rules.check_line_length, "a.cc", data), [])

    def test_unfinished_work_is_found(self):
        text = "int a;\n// " + "TO" + "DO: more\n"
        self.assertEqual(lines_found(text_rules.check_unfinished, "a.cc", text), [2])

    def test_skipped_tests_are_found(self):
        text = "TEST(A, DIS" + "ABLED_B) {}\n"
        self.assertEqual(lines_found(text_rules.check_skipped_tests, "a_test.cc", text), [1])

    def test_wrong_words_are_found_as_identifiers_only(self):
        for code in ("int src;", "Copy(dest);", "int dst_port;", "int file_src = 1;", "int Src;"):
            self.assertEqual(lines_found(text_rules.check_words, "a.cc", code), [1], code)
        for code in ("// src", '"dest"', "int source;", "int destroyed;", "R\"(dst)\""):
            self.assertEqual(lines_found(text_rules.check_words, "a.cc", code), [], code)

    def test_names_that_say_nothing_are_found(self):
        for code in ("class JobManager {", "struct StringHelper {", "class Utils {"):
            self.assertEqual(lines_found(text_rules.check_words, "a.h", code), [1], code)
        code = "class Manager {"
        self.assertEqual(lines_found(text_rules.check_words, "operator/kube/manager.h", code), [])

    def test_host_names_of_registries_are_found(self):
        host = ".".join(["proxy", "golang", "org"])
        self.assertEqual(lines_found(text_rules.check_registries, "x", f"a\nhttps://{host}/b"), [2])
        image = ".".join(["docker", "io"]) + "/library/x"
        self.assertEqual(lines_found(text_rules.check_registries, "x", image), [1])
        self.assertEqual(lines_found(text_rules.check_registries, "x", "cutover.local/odoo"), [])


class Structure(unittest.TestCase):
    def test_a_library_stays_behind_its_adapter(self):
        for include, path, allowed in (
            ("<cpprest/http_client.h>", "operator/kube/client.cc", False),
            ("<cpprest/http_client.h>", "operator/kube/http_transport.cc", True),
            ("<libpq-fe.h>", "reconcilers/server/observe.cc", False),
            ("<libpq-fe.h>", "postgres/connection.cc", True),
            ("<prometheus/counter.h>", "operator/kube/client.cc", False),
            ("<rapidjson/document.h>", "operator/base/json.cc", True),
            ("<rapidjson/document.h>", "operator/base/json.h", False),
            ("<string>", "operator/base/json.h", True),
        ):
            found = lines_found(structure.check_adapters, path, f"#include {include}\n")
            self.assertEqual(found, [] if allowed else [1], (include, path))

    def test_dependencies_go_one_way(self):
        for path, include, allowed in (
            ("operator/kube/client.cc", "operator/base/json.h", True),
            ("operator/kube/client.cc", "operator/kube/client.h", True),
            ("operator/kube/client.cc", "operator/api/meta.h", False),
            ("operator/kube/client.cc", "reconcilers/server/reconciler.h", False),
            ("operator/base/json.cc", "operator/kube/client.h", False),
            ("mover/copy/worker.cc", "operator/kube/client.h", False),
            ("mover/copy/worker.cc", "postgres/connection.h", True),
            ("mover/contract/job_spec.cc", "mover/copy/worker.h", False),
            ("reconcilers/server/observe.cc", "reconcilers/migration/decide.h", False),
            ("reconcilers/migration/world.cc", "mover/contract/job_spec.h", True),
            ("reconcilers/migration/world.cc", "mover/copy/worker.h", False),
            ("reconcilers/migration/phases/copying.cc", "operator/kube/client.h", False),
            ("postgres/connection.cc", "operator/kube/client.h", False),
            ("operator/main.cc", "reconcilers/server/reconciler.h", True),
            ("operator/main.cc", "mover/copy/worker.h", False),
            ("tests/sim/world.cc", "mover/copy/worker.h", True),
        ):
            found = lines_found(structure.check_layers, path, f'#include "{include}"\n')
            self.assertEqual(found, [] if allowed else [1], (path, include))

    def test_long_functions_are_found_where_they_begin(self):
        body = "  Step();\n" * 69
        long_function = f"namespace a {{\nvoid F() {{\n{body}}}\n}}\n"
        self.assertEqual(lines_found(structure.check_function_length, "a.cc", long_function), [2])
        body = "  Step();\n" * 68
        short = f"namespace a {{\nvoid F() {{\n{body}}}\n}}\n"
        self.assertEqual(lines_found(structure.check_function_length, "a.cc", short), [])

    def test_functions_are_told_from_types_tables_and_lambdas(self):
        text = """
namespace a {
#define MACRO(x) \\
  do {           \\
  } while (x)
class C : public D {
  int Get() const { return 1; }  // }
  enum class E { kA };
};
const int kTable[] = {1, 2};
Result<int> C::Long(int a,
                    char b) {
  auto inner = [&](int x) {
    return '{';
  };
  if (a) {
  }
}
TEST_F(Suite, SaysSomething) {
  Text(R"(} {)");
}
}  // namespace a
"""
        found = [(function.name, function.line_count) for function in functions(text)]
        self.assertEqual(found, [("Get", 1), ("C::Long", 7), ("Suite.SaysSomething", 3)])

    def test_blanking_keeps_lines_and_digit_separators(self):
        text = "int a = 1'000'000;  // x\nchar c = 'y';\n"
        blanked = blank_no_code(text)
        self.assertIn("1'000'000;", blanked)
        self.assertNotIn("y", blanked.splitlines()[1])
        self.assertEqual(len(blanked), len(text))


class Headers(unittest.TestCase):
    def setUp(self):
        self.directory = tempfile.TemporaryDirectory()
        self.addCleanup(self.directory.cleanup)
        self.cache, headers.CACHE = headers.CACHE, pathlib.Path(self.directory.name, "cache.json")
        self.addCleanup(setattr, headers, "CACHE", self.cache)
        self.header = pathlib.Path(self.directory.name, "a.h")

    def check(self, text):
        self.header.write_text(text, encoding="utf-8")
        return headers.check_headers_alone([SourceFile(str(self.header))], jobs=1)

    def test_a_header_that_needs_another_is_found_again_and_again(self):
        for _ in range(2):
            self.assertEqual(len(self.check("std::string a();\n")), 1)

    def test_a_header_is_compiled_again_only_when_it_has_changed(self):
        good = "#include <string>\nstd::string a();\n"
        self.assertEqual(self.check(good), [])
        compile_header, headers._compile = headers._compile, self.fail
        self.addCleanup(setattr, headers, "_compile", compile_header)
        self.assertEqual(self.check(good), [])
        headers._compile = compile_header
        self.assertEqual(len(self.check("std::string a();\n")), 1)


class Generated(unittest.TestCase):
    def test_a_crd_that_the_chart_has_otherwise_or_not_at_all_is_found(self):
        def found(*copies):
            files = [SourceFile("crds/x.yaml", "a: 1\n"), *copies]
            return [finding.path for finding in generated.check_chart_crds(files)]

        other = SourceFile("charts/cutover/Chart.yaml", "name: cutover\n")
        same = SourceFile("charts/cutover/files/crds/x.yaml", "a: 1\n")
        stale = SourceFile("charts/cutover/files/crds/x.yaml", "a: 2\n")
        self.assertEqual(found(other), ["crds/x.yaml"])
        self.assertEqual(found(other, same), [])
        self.assertEqual(found(other, stale), [stale.path])

    def test_a_generated_file_that_cannot_be_checked_is_no_success(self):
        self.assertTrue(list(generated.check_printed("/nowhere")))


class NamedTests(unittest.TestCase):
    def test_a_trap_without_test_and_a_test_without_line_are_found(self):
        table = SourceFile(
            "docs/verification.md", "| `ATraps.Trap01_Is` |\n| `ATraps.Trap02_IsNot` |\n"
        )
        tests = SourceFile(
            "tests/a_test.cc", "TEST(ATraps,\n     Trap01_Is) {}\nTEST_F(ATraps, Trap03_New) {}\n"
        )
        found = [(f.path, f.line) for f in named_tests.check_named_tests([table, tests])]
        self.assertEqual(found, [("docs/verification.md", 2), ("tests/a_test.cc", 3)])

    def test_a_trap_without_a_row_or_without_a_test_is_found(self):
        row = "| {} | what | passed | `ATraps.Trap{:02}_Is` |\n"
        test = "TEST(ATraps, Trap{:02}_Is) {{}}\n"
        rows = [row.format(n, n) for n in range(1, 86)]
        tests = [test.format(n) for n in range(1, 86)]

        def found(rows, tests):
            files = [SourceFile("docs/verification.md", "".join(rows)),
                     SourceFile("tests/a_test.cc", "".join(tests))]
            return [finding.message for finding in named_tests.check_every_trap(files)]

        self.assertEqual(found(rows, tests), [])
        self.assertEqual(found(rows[1:], tests), ["trap 1 has no row that names its test"])
        self.assertEqual(found(rows, tests[:-1]), ["no test is called Trap85_…"])
        shared = rows[:1] + [row.format("2, 3", 2)] + rows[3:]
        self.assertEqual(found(shared, tests), [])


if __name__ == "__main__":
    unittest.main()
