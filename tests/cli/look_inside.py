#!/usr/bin/env python3
"""Runs a program and looks into it with `plait ps` and `plait pstree`, as a person does.

  PLAIT=.../plait INSPECTED=.../inspected_program tests/cli/look_inside.py [-v] [CLASS]
"""
import json
import os
import pathlib
import re
import subprocess
import tempfile
import unittest

PLAIT, INSPECTED = os.environ["PLAIT"], os.environ["INSPECTED"]
LIMIT = 60  # seconds for one run, before the test gives up


class Look(unittest.TestCase):
    """A runtime folder of the test's own, so that it sees no other program."""

    def setUp(self):
        self.runtime = tempfile.TemporaryDirectory()
        self.addCleanup(self.runtime.cleanup)
        self.environment = {**os.environ, "XDG_RUNTIME_DIR": self.runtime.name, "LC_ALL": "C.UTF-8"}
        self.environment.pop("PLAIT_INSPECT", None)

    def start(self, *arguments, **variables):
        program = subprocess.Popen([INSPECTED, *arguments], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                   stderr=subprocess.DEVNULL, text=True, env={**self.environment, **variables})
        self.addCleanup(self.end, program)
        self.assertEqual(program.stdout.readline(), "ready\n")
        return program

    def end(self, program):
        if program.returncode is None:
            program.stdin.close()
            program.wait(LIMIT)
            program.stdout.close()

    def plait(self, *arguments, **options):
        return subprocess.run([PLAIT, *map(str, arguments)], capture_output=True, text=True, timeout=LIMIT,
                              env=self.environment, **options)

    def shown(self, *arguments):
        done = self.plait(*arguments)
        self.assertEqual((done.returncode, done.stderr), (0, ""))
        return done.stdout

    def refused(self, *arguments, **options):
        done = self.plait(*arguments, **options)
        self.assertEqual((done.returncode, done.stdout), (2, ""))
        self.assertRegex(done.stderr, r"\Aplait: [^\n]+\n\Z")
        return done.stderr

    def socket_of(self, program):
        return pathlib.Path(self.runtime.name, "plait", f"{program.pid}.sock")


class Ps(Look):
    def test_programs_with_a_door_are_listed(self):
        self.assertIn("PLAIT_INSPECT=1", self.shown("ps"))
        program = self.start(PLAIT_INSPECT="1")
        self.start()  # without
        lines = self.shown("ps").splitlines()
        self.assertEqual(lines[0].split(), ["PID", "PROGRAM", "LOOPS", "TASKS", "THREADS", "WORKERS"])
        self.assertEqual([line.split() for line in lines[1:]],
                         [[str(program.pid), "inspected_program", "1", "7", "1", "1"]])

    def test_tasks_have_names_and_say_what_they_wait_for(self):
        text = self.shown("ps", self.start(PLAIT_INSPECT="1").pid)
        self.assertRegex(text, r"(?m)^  \d+ +shop::check_out +suspended +an item of an empty queue +shop::open_up")
        self.assertRegex(text, r"(?m)^  \d+ +shop::fill_basket +suspended +gather of 2 +shop::open_up")
        self.assertRegex(text, r"(?m)^  \d+ +shop::open_up +suspended +call of shop::hold +main inspected_program")
        self.assertRegex(text, r"(?m)^  \d+ +(?:running|asleep[ \w]*?) +shop::hold +[\d.e-]+ s +shop::open_up")

    def test_lines_of_sources_are_told(self):
        if subprocess.run(["which", "addr2line"], capture_output=True).returncode:
            self.skipTest("no addr2line")
        self.assertRegex(self.shown("ps", self.start(PLAIT_INSPECT="1").pid), r"main inspected_program\.cpp:\d+")

    def test_json_is_one_object(self):
        program = self.start(PLAIT_INSPECT="1")
        report = json.loads(self.shown("ps", program.pid, "--json"))
        self.assertEqual(report["pid"], program.pid)
        self.assertEqual(len(report["loops"][0]["tasks"]), 7)
        self.assertEqual(report["process_pools"][0]["workers"][0]["state"], "running")
        self.assertEqual(json.loads(self.shown("ps", "--json"))[0]["pid"], program.pid)

    def test_a_loop_that_is_blocked_names_what_blocks_it(self):
        text = self.shown("ps", self.start("--blocked", PLAIT_INSPECT="1").pid)
        self.assertRegex(text, r"Loop on thread \d+: blocked, .* has been running shop::block for [\d.]+ s")


class Pstree(Look):
    def test_each_task_stands_below_who_awaits_it(self):
        text = self.shown("pstree", self.start(PLAIT_INSPECT="1").pid)
        tree = re.sub(r" inspected_program\.cpp:\d+|: 3\d+[.\d]* s", "", text)
        self.assertIn("""\
│   ├── (T) shop::wait_for
│   │   └── (T) shop::fill_basket
│   │       └── waits for gather of 2
│   │           ├── (T) shop::price_of
│   │           │   └── waits for the rest of a sleep of 3600 s
│   │           └── (T) shop::price_of
│   │               └── waits for the rest of a sleep of 3600 s
""", tree)
        self.assertRegex(tree, r"\(T\) shop::fill_basket  \[task \d+, shown above\]")

    def test_a_circle_is_named(self):
        text = self.shown("pstree", self.start("--circle", PLAIT_INSPECT="1").pid)
        self.assertIn("a circle of tasks that await each other", text)
        self.assertIn("running; nothing here can wake its tasks", text)

    def test_what_is_awaited_without_being_a_task_stands_where_it_is_awaited(self):
        text = self.shown("pstree", self.start("--bounded", PLAIT_INSPECT="1").pid)
        self.assertNotIn("nothing here", text)
        self.assertRegex(text, r"""\(T\) main inspected_program\.cpp:\d+
    +└── waits for what has [\d.]+ s left until its timeout of 7200 s
    +└── waits for the rest of a sleep of 3600 s: [\d.]+ s
""".replace("main", "shop::be_patient"))


class Stall(Look):
    def test_a_task_that_blocks_its_loop_is_named_on_standard_error(self):
        program = subprocess.Popen([INSPECTED, "--blocked"], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                   stderr=subprocess.PIPE, text=True, env=self.environment)
        self.addCleanup(self.end, program)
        line = program.stderr.readline()  # it stays blocked until its standard input ends
        self.assertRegex(line, r"\Aplait: the loop on thread \d+ does not turn: it has been running "
                               r"shop::block\(.*\) for [\d.]+ m?s(?:, [ \w]+)? \(submitted in main\)\n\Z")
        stack = []
        while not re.match(r"    at shop::block\(std::string\) \(inspected_program\+0x[0-9a-f]+\)\n\Z", line):
            line = program.stderr.readline()  # the task itself is the last, below what it has called
            self.assertRegex(line, r"\A    at ")
            stack.append(line)
        self.assertTrue(any("gate::pass" in frame for frame in stack), stack)
        program.stderr.close()
        self.end(program)


class Trace(Look):
    def setUp(self):
        super().setUp()
        self.file = pathlib.Path(self.runtime.name, "trace.json")

    def test_a_program_that_ends_leaves_a_whole_file(self):
        program = self.start(PLAIT_TRACE=str(self.file))
        self.end(program)
        events = json.loads(self.file.read_text())
        self.assertIn("shop::hold(std::string const&)", str([e["name"] for e in events if e["ph"] == "X"]))
        self.assertEqual({e["pid"] for e in events if e["name"] == "process_name"} & {program.pid}, {program.pid})

    def test_two_programs_do_not_write_the_same_file(self):
        first = self.start(PLAIT_TRACE=str(self.file))
        second = self.start(PLAIT_TRACE=str(self.file))
        self.end(second)
        self.end(first)
        for program, file in ((first, self.file), (second, pathlib.Path(f"{self.file}.{second.pid}"))):
            events = json.loads(file.read_text())
            self.assertIn(program.pid, {e["pid"] for e in events})

    def test_compare_braids_its_processes_into_one_file(self):
        done = self.plait("compare", "--quick", "-n", "50", "--python", "none", "--trace", self.file)
        self.assertEqual((done.returncode, done.stderr), (0, ""))
        events = json.loads(self.file.read_text())
        names = [e["args"]["name"] for e in events if e["name"] == "process_name"]
        self.assertGreater(names.count("plait"), 3)  # each measurement, and the server
        self.assertIn("plait worker", names)


class Refusals(Look):
    def test_no_such_process(self):
        program = self.start()
        self.end(program)
        self.assertIn(f"there is no process {program.pid}", self.refused("ps", program.pid))
        self.assertIn("there is no process", self.refused("pstree", 2**31 - 1))

    def test_a_program_without_a_door_says_how_to_open_one(self):
        self.assertIn("PLAIT_INSPECT=1", self.refused("ps", self.start().pid))
        self.assertIn("PLAIT_INSPECT=1", self.refused("ps", os.getpid()))

    def test_a_process_number_is_a_number(self):
        self.refused("ps", "shop")
        self.refused("pstree")

    @unittest.skipUnless(os.geteuid() == 0, "needs to become another user")
    def test_another_user_is_refused(self):
        program = self.start(PLAIT_INSPECT="1")
        as_nobody = {"user": "nobody", "group": "nogroup", "extra_groups": []}
        os.chmod(self.runtime.name, 0o755)  # not the protection that is tested
        with tempfile.TemporaryDirectory() as folder:  # the build may lie where nobody may look
            os.chmod(folder, 0o755)
            tool = pathlib.Path(folder, "plait")
            tool.write_bytes(pathlib.Path(PLAIT).read_bytes())
            tool.chmod(0o755)
            done = subprocess.run([tool, "ps", str(program.pid)], capture_output=True, text=True, timeout=LIMIT,
                                  cwd="/", env=self.environment, **as_nobody)
            self.assertEqual((done.returncode, done.stdout), (2, ""))
            self.assertIn("belongs to root", done.stderr)
            listed = subprocess.run([tool, "ps"], capture_output=True, text=True, timeout=LIMIT, cwd="/",
                                    env=self.environment, **as_nobody)
            self.assertIn("no program with a door", listed.stdout)
        # Not by the tool's courtesy alone: the socket itself is out of reach, and would not answer.
        code = "import socket,sys; s=socket.socket(socket.AF_UNIX); s.connect(sys.argv[1]); print(len(s.recv(9)))"
        attempt = ["python3", "-c", code, str(self.socket_of(program))]
        done = subprocess.run(attempt, capture_output=True, text=True, timeout=LIMIT, cwd="/", **as_nobody)
        self.assertIn("PermissionError", done.stderr)
        os.chmod(self.socket_of(program).parent, 0o755)
        os.chmod(self.socket_of(program), 0o777)
        done = subprocess.run(attempt, capture_output=True, text=True, timeout=LIMIT, cwd="/", **as_nobody)
        self.assertIn(done.stdout, ("0\n", ""), "somebody else was answered")


class Files(Look):
    def test_nothing_is_left_when_a_program_ends(self):
        program = self.start(PLAIT_INSPECT="1")
        self.assertTrue(self.socket_of(program).is_socket())
        self.end(program)
        self.assertFalse(self.socket_of(program).exists())

    def test_what_a_killed_program_left_is_cleaned_away(self):
        program = self.start(PLAIT_INSPECT="1")
        program.kill()
        program.wait(LIMIT)
        program.stdin.close()
        program.stdout.close()
        self.assertTrue(self.socket_of(program).exists())
        self.shown("ps")
        self.assertFalse(self.socket_of(program).exists())


if __name__ == "__main__":
    unittest.main()
