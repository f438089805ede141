package main

import (
	"context"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/kvs-edge/kvs-edge-agent/internal/backoff"
	"github.com/kvs-edge/kvs-edge-agent/internal/segment"
)

// TestScript runs the command lines of testdata/script, whose README says how they are written.
func TestScript(t *testing.T) {
	t.Parallel()
	repository, err := filepath.Abs("../..")
	if err != nil {
		t.Fatal(err)
	}
	testscript.Run(t, testscript.Params{
		Dir: filepath.Join("testdata", "script"), RequireUniqueNames: true, UpdateScripts: os.Getenv("UPDATE_SCRIPTS") != "",
		Setup: func(env *testscript.Env) error {
			env.Setenv("REPOSITORY", repository)
			env.Setenv("GORACE", "atexit_sleep_ms=0") // without it each program that ends takes a second
			background := backgroundPrograms{}
			env.Values[backgroundKey{}] = background
			env.Defer(background.kill)
			return nil
		},
		Cmds: map[string]func(ts *testscript.TestScript, neg bool, args []string){
			"exits": scriptExits, "start": scriptStart, "await": scriptAwait, "interrupt": scriptInterrupt, "eventually": scriptEventually,
			"recordings": scriptRecordings,
		},
	})
}

// takes fails a script whose command has too few arguments, or a ! before it.
func takes(ts *testscript.TestScript, neg bool, args []string, least int, usage string) {
	if neg || len(args) < least {
		ts.Fatalf("usage: %s", usage)
	}
}

// goWords are those of Go's libraries, which nobody should have to read.
var goWords = []string{"strconv", "time: invalid", "time: unknown", "time: missing", "invalid argument", "unknown flag"}

func scriptExits(ts *testscript.TestScript, neg bool, args []string) {
	takes(ts, neg, args, 2, "exits CODE PROGRAM ARG...")
	want, err := strconv.Atoi(args[0])
	ts.Check(err)
	expectCode(ts, ts.Exec(args[1], args[2:]...), want)
	for _, word := range goWords {
		if stderr := ts.ReadFile("stderr"); strings.Contains(stderr, word) {
			ts.Fatalf("it shows Go's %q: %s", word, stderr)
		}
	}
}

// expectCode holds the end of a program against an exit code.
func expectCode(ts *testscript.TestScript, err error, want int) {
	code := 0
	if exit := new(exec.ExitError); errors.As(err, &exit) {
		code = exit.ExitCode()
	} else {
		ts.Check(err)
	}
	if code != want {
		ts.Fatalf("it ends with %d, want %d", code, want)
	}
}

type backgroundKey struct{}

// backgroundPrograms are those that a script has started, by name.
type backgroundPrograms map[string]*backgroundProgram

func (all backgroundPrograms) kill() {
	for _, p := range all {
		_ = p.cmd.Process.Kill()
		<-p.ended
	}
}

// backgroundProgram runs beside a script.
type backgroundProgram struct {
	cmd            *exec.Cmd
	stdout, stderr scriptOutput
	ended          chan struct{}
	err            error // of its end, before ended is closed
}

func theProgram(ts *testscript.TestScript, name string) *backgroundProgram {
	p := ts.Value(backgroundKey{}).(backgroundPrograms)[name]
	if p == nil {
		ts.Fatalf("no program has the name %s", name)
	}
	return p
}

func scriptStart(ts *testscript.TestScript, neg bool, args []string) {
	takes(ts, neg, args, 3, "start NAME PATTERN PROGRAM ARG...")
	p := &backgroundProgram{cmd: scriptProgram(ts, args[2:]), ended: make(chan struct{})}
	p.cmd.Stdout, p.cmd.Stderr = &p.stdout, &p.stderr
	ts.Check(p.cmd.Start())
	go func() { p.err = p.cmd.Wait(); close(p.ended) }()
	ts.Value(backgroundKey{}).(backgroundPrograms)[args[0]] = p
	p.await(ts, args[1])
}

// scriptProgram is a program as the script would run it.
func scriptProgram(ts *testscript.TestScript, args []string) *exec.Cmd {
	ts.Check(ts.Exec("env", "-0"))
	environment := strings.Split(strings.TrimSuffix(ts.ReadFile("stdout"), "\x00"), "\x00")
	path := args[0]
	if !strings.Contains(path, "/") {
		for dir := range strings.SplitSeq(ts.Getenv("PATH"), ":") {
			if candidate := filepath.Join(dir, args[0]); isFile(candidate) {
				path = candidate
				break
			}
		}
	}
	cmd := exec.Command(path, args[1:]...)
	cmd.Dir, cmd.Env = ts.MkAbs("."), environment
	return cmd
}

// isFile reports whether there is a file of that name.
func isFile(path string) bool {
	info, err := os.Stat(path)
	return err == nil && info.Mode().IsRegular()
}

func scriptAwait(ts *testscript.TestScript, neg bool, args []string) {
	takes(ts, neg, args, 2, "await NAME PATTERN")
	theProgram(ts, args[0]).await(ts, args[1])
}

// await waits for a line, and sets the variables that its groups name.
func (p *backgroundProgram) await(ts *testscript.TestScript, pattern string) {
	line, err := regexp.Compile("(?m)" + pattern)
	ts.Check(err)
	timeout := time.After(patience)
	for ended := false; ; {
		more, moreErrors := p.stdout.more(), p.stderr.more()
		if p.stdout.pass(ts, line) || p.stderr.pass(ts, line) {
			return
		}
		if ended {
			ts.Fatalf("it ended with %v, before a line with %q:\n%s%s", p.err, pattern, &p.stdout, &p.stderr)
		}
		select {
		case <-more:
		case <-moreErrors:
		case <-p.ended:
			ended = true
		case <-timeout:
			ts.Fatalf("there is no line with %q:\n%s%s", pattern, &p.stdout, &p.stderr)
		}
	}
}

func scriptInterrupt(ts *testscript.TestScript, neg bool, args []string) {
	takes(ts, neg, args, 1, "interrupt NAME [CODE]")
	p, want := theProgram(ts, args[0]), 0
	if len(args) > 1 {
		var err error
		want, err = strconv.Atoi(args[1])
		ts.Check(err)
	}
	ts.Check(p.cmd.Process.Signal(os.Interrupt))
	select {
	case <-p.ended:
	case <-time.After(patience):
		ts.Fatalf("it does not end:\n%s%s", &p.stdout, &p.stderr)
	}
	_, err := ts.Stdout().Write([]byte(p.stdout.String()))
	ts.Check(err)
	_, err = ts.Stderr().Write([]byte(p.stderr.String()))
	ts.Check(err)
	delete(ts.Value(backgroundKey{}).(backgroundPrograms), args[0])
	expectCode(ts, p.err, want)
}

func scriptEventually(ts *testscript.TestScript, neg bool, args []string) {
	takes(ts, neg, args, 2, "eventually PATTERN PROGRAM ARG...")
	want, err := regexp.Compile("(?m)" + args[0])
	ts.Check(err)
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	program := scriptProgram(ts, args[1:])
	for {
		var stdout, stderr strings.Builder
		cmd := exec.CommandContext(ctx, program.Path, program.Args[1:]...)
		cmd.Dir, cmd.Env, cmd.Stdout, cmd.Stderr = program.Dir, program.Env, &stdout, &stderr
		if err := cmd.Run(); err != nil && !errors.As(err, new(*exec.ExitError)) {
			ts.Check(err)
		}
		matches := want.MatchString(stdout.String())
		if ended := backoff.Sleep(ctx, poll) != nil; matches || ended {
			_, err := io.WriteString(ts.Stdout(), stdout.String())
			ts.Check(err)
			_, err = io.WriteString(ts.Stderr(), stderr.String())
			ts.Check(err)
			if !matches {
				ts.Fatalf("no output matches %q", args[0])
			}
			return
		}
	}
}

// recordedSpan is what a script writes as 1m+10.
var recordedSpan = regexp.MustCompile(`^(\w+)\+(\d+)$`)

func scriptRecordings(ts *testscript.TestScript, neg bool, args []string) {
	takes(ts, neg, args, 2, "recordings DIR AFTER+SECONDS...")
	dir := ts.MkAbs(args[0])
	ts.Check(os.MkdirAll(dir, 0o750))
	store, err := segment.Open(segment.Options{Dir: dir})
	ts.Check(err)
	defer func() { _ = store.Close() }()
	for _, span := range args[1:] {
		parts := recordedSpan.FindStringSubmatch(span)
		if parts == nil {
			ts.Fatalf("%s is not AFTER+SECONDS", span)
		}
		after, err := time.ParseDuration(parts[1])
		ts.Check(err)
		seconds, err := strconv.Atoi(parts[2])
		ts.Check(err)
		writer, err := recordDoor(store, after, seconds, "sps")
		ts.Check(err)
		ts.Check(writer.Seal())
	}
}

// scriptOutput keeps what a program writes. The zero one is empty.
type scriptOutput struct {
	mu      sync.Mutex
	text    strings.Builder
	passed  int // bytes, up to the line that was awaited last
	changed chan struct{}
}

// pass moves behind the next whole line that matches, and sets the variables that the pattern's groups name.
func (o *scriptOutput) pass(ts *testscript.TestScript, line *regexp.Regexp) bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	text := o.text.String()[o.passed:]
	text = text[:strings.LastIndexByte(text, '\n')+1]
	found := line.FindStringSubmatchIndex(text)
	if found == nil {
		return false
	}
	o.passed += found[1]
	for i, name := range line.SubexpNames() {
		if name != "" && found[2*i] >= 0 {
			ts.Setenv(name, text[found[2*i]:found[2*i+1]])
		}
	}
	return true
}

// Write implements io.Writer.
func (o *scriptOutput) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.changed != nil {
		close(o.changed)
		o.changed = nil
	}
	return o.text.Write(p)
}

// more returns a channel that is closed when more is written.
func (o *scriptOutput) more() <-chan struct{} {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.changed == nil {
		o.changed = make(chan struct{})
	}
	return o.changed
}

// String returns what was written so far.
func (o *scriptOutput) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.text.String()
}
