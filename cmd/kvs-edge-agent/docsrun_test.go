package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/kvs-edge/kvs-edge-agent/internal/testtools"
)

// TestEveryBlockOfTheDocsIsRunOrChecked does with each block what its directive says; see docsBlock.
func TestEveryBlockOfTheDocsIsRunOrChecked(t *testing.T) {
	t.Parallel()
	testtools.Need(t, "/usr/bin/aws", "ffmpeg", "curl")
	blocks, exceptions := docsBlocks(t), docsExceptions(t)
	r := &docsRunner{t: t, late: testtools.SchedulingDelay(t), dirs: map[string]string{}, pages: testtools.Proof(t, "docs",
		testtools.Sizes[[]string]{Short: []string{"README.md", "docs/aws-setup.md"}})}
	counts := map[string]int{}
	slices.SortStableFunc(blocks, func(a, b docsBlock) int { return strings.Compare(b.order(), a.order()) })
	for _, b := range blocks {
		if b.excepted(exceptions) {
			counts["excepted"]++
			continue
		}
		check := r.checkOf(b)
		if check == nil {
			t.Errorf("%s: no rule for this block (%s): say how it is checked, or name it in testdata/docs-exceptions.txt", b, b.lang)
			continue
		}
		counts[b.lang+" "+b.directive]++
		began := time.Now()
		if !r.isDue(b) {
			counts["left to CI"]++
			continue
		}
		if err := check(b); err != nil {
			t.Errorf("%s: %v\n%s", b, err, b.text)
		}
		t.Logf("%s: %s %s, %.1f s", b, b.lang, b.directive, time.Since(began).Seconds())
	}
	for key := range exceptions {
		t.Errorf("testdata/docs-exceptions.txt: there is no block %s", key)
	}
	for _, kind := range slices.Sorted(maps.Keys(counts)) {
		t.Logf("%3d %s", counts[kind], kind)
	}
}

// order is that of running: what sets up comes first.
func (b docsBlock) order() string {
	if b.directive == "set-up" {
		return "1"
	}
	return "0"
}

// docsRunner has what blocks run with; it is made when the first block needs it.
type docsRunner struct {
	t            *testing.T
	late         func() time.Duration // the machine, at worst
	pages        []string             // whose commands are run; nil for all
	dirs         map[string]string    // by page
	world        *docsWorld
	seeded       *docsWorld
	fakeAWS      string // address of a server that answers anything
	fakePrograms string
	once         sync.Once
}

// isDue reports whether a block is for this run: what runs nothing always is.
func (r *docsRunner) isDue(b docsBlock) bool {
	runs := b.lang == "sh" || b.lang == "python" || b.lang == ""
	return !runs || r.pages == nil || slices.Contains(r.pages, b.page)
}

func (r *docsRunner) checkOf(b docsBlock) func(docsBlock) error {
	switch b.lang + " " + b.directive {
	case "sh set-up":
		return r.setUp
	case "sh cloud":
		return r.withCloud
	case "sh seeded", "python python":
		return r.withSeed
	case "sh each":
		return r.eachUntil
	case "sh lint", "sh package", "sh image", "sh root":
		return r.withoutEffect
	case " transcript":
		return r.transcript
	case " lines":
		return r.refusalLines
	case "json save":
		return r.save
	case "json ":
		return docsBlock.checkJSON
	case "env ":
		return docsBlock.checkEnv
	}
	if b.directive == "go" {
		return docsBlock.checkGo
	}
	return nil
}

// dir is where the blocks of a page run: as the top of the sources looks, with the program built.
func (r *docsRunner) dir(page string) string {
	if dir := r.dirs[page]; dir != "" {
		return dir
	}
	dir, err := os.MkdirTemp("", "kvs") // short, for sockets
	if err != nil {
		r.t.Fatal(err)
	}
	r.t.Cleanup(func() { _ = os.RemoveAll(dir) })
	root, err := filepath.Abs(repository)
	if err != nil {
		r.t.Fatal(err)
	}
	path, err := program()
	if err != nil {
		r.t.Fatal(err)
	}
	for _, name := range []string{"bin", "dist"} {
		err = errors.Join(err, os.Mkdir(filepath.Join(dir, name), 0o755))
	}
	for from, to := range map[string]string{
		root + "/deploy": "deploy", root + "/docs": "docs", root + "/examples": "examples", path: "bin/kvs-edge-agent",
	} {
		err = errors.Join(err, os.Symlink(from, filepath.Join(dir, to)))
	}
	for _, name := range []string{
		"dist/kvs-edge-agent-linux-amd64", "dist/kvs-edge-agent-linux-arm64", "dist/kvs-edge-agent-linux-armv7",
		"kvs-edge-agent_1.0.0_arm64.deb", "kvs-edge-agent-1.0.0-1.aarch64.rpm", "certificate.pem", "private.key", "AmazonRootCA1.pem",
	} {
		err = errors.Join(err, os.WriteFile(filepath.Join(dir, name), []byte("x"), 0o644))
	}
	film := exec.CommandContext(r.t.Context(), "ffmpeg", "-v", "error", "-f", "lavfi", "-i", "testsrc=size=320x240:duration=2",
		"-c:v", "libx264", "-bf", "0", filepath.Join(dir, "holiday.mp4"))
	if err = errors.Join(err, film.Run()); err != nil {
		r.t.Fatal(err)
	}
	r.dirs[page] = dir
	return dir
}

func (r *docsRunner) save(b docsBlock) error {
	if err := b.checkJSON(); err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(r.dir(b.page), b.args), []byte(b.text), 0o600)
}

func (r *docsRunner) setUp(b docsBlock) error {
	r.world = startDocsWorld(r.t, "", "hub-1")
	if err := r.run(b, r.world, "sh", "-euc", r.world.adapt(b.text)); err != nil {
		return err
	}
	r.world.startAgent(r.t)
	return r.world.awaitRecording(r.t, "front-door")
}

func (r *docsRunner) withCloud(b docsBlock) error {
	if r.world == nil {
		return errors.New("no block has the directive set-up")
	}
	if err := r.world.awaitInSync(r.t); err != nil {
		return err
	}
	text := r.world.adapt(b.text)
	err := r.run(b, r.world, "sh", "-euc", text)
	more := strings.ReplaceAll(text, docsDuration, "--duration 30s")
	if err != nil && more != text && r.late() > 100*time.Millisecond {
		r.t.Logf("%s: again, with more time: %v", b, err) // it counts from the start of a program, which was slow
		err = r.run(b, r.world, "sh", "-euc", more)
	}
	return err
}

func (r *docsRunner) withSeed(b docsBlock) error {
	if r.seeded == nil {
		r.seeded = startDocsWorld(r.t, filepath.Join(repository, "docs", "localcloud-seed.example.json"), "hub-1")
	}
	if err := os.WriteFile(filepath.Join(r.dir(b.page), "cloud.env"), []byte(r.seeded.lines), 0o600); err != nil {
		return err
	}
	if b.lang == "python" {
		return r.python(b)
	}
	text := r.seeded.adapt(b.text)
	if until, ok := b.until(); ok {
		return r.runUntil(b, r.seeded, text, until)
	}
	return r.run(b, r.seeded, "sh", "-euc", text)
}

// python is Debian's, which has boto3 with the AWS CLI.
func (r *docsRunner) python(b docsBlock) error {
	const path = "/usr/bin/python3"
	if err := exec.CommandContext(r.t.Context(), path, "-c", "import boto3").Run(); err != nil {
		if os.Getenv(testtools.RequireVariable) != "" {
			return fmt.Errorf("python3-boto3 is not installed: %w", err)
		}
		r.t.Logf("%s: not run, as python3-boto3 is not installed", b)
		return nil
	}
	return r.run(b, r.seeded, path, "-c", b.text)
}

func (b docsBlock) until() (text string, found bool) {
	rest, found := strings.CutPrefix(b.args, `until "`)
	return strings.TrimSuffix(rest, `"`), found
}

func (r *docsRunner) eachUntil(b docsBlock) error {
	until, ok := b.until()
	if !ok {
		return errors.New(`the directive is not each until "TEXT"`)
	}
	for line := range strings.Lines(b.text) {
		if err := r.runUntil(b, r.world, r.world.adapt(strings.TrimSpace(line)), until); err != nil {
			return fmt.Errorf("%s: %w", strings.TrimSpace(line), err)
		}
	}
	return nil
}

// run runs a program to its end, which must be a success.
func (r *docsRunner) run(b docsBlock, w *docsWorld, name string, args ...string) error {
	ctx, cancel := context.WithTimeout(r.t.Context(), patience)
	defer cancel()
	command := exec.CommandContext(ctx, name, args...)
	command.Dir, command.Env = r.dir(b.page), w.env
	out, err := command.CombinedOutput()
	if err != nil {
		return fmt.Errorf("%w: %s", err, lastLines(string(out), 30))
	}
	return nil
}

// runUntil runs a script until it has printed a text, and then interrupts all that it started.
func (r *docsRunner) runUntil(b docsBlock, w *docsWorld, script, until string) error {
	ctx, cancel := context.WithTimeout(r.t.Context(), patience)
	defer cancel()
	command := exec.CommandContext(ctx, "sh", "-euc", script)
	command.Dir, command.Env = r.dir(b.page), w.env
	command.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	out, in, err := os.Pipe()
	if err != nil {
		return err
	}
	defer func() { _ = out.Close() }()
	command.Stdout, command.Stderr = in, in
	if err := errors.Join(command.Start(), in.Close()); err != nil {
		return err
	}
	group := -command.Process.Pid
	command.Cancel = func() error { return syscall.Kill(group, syscall.SIGKILL) }
	var said strings.Builder
	found := false
	for lines := bufio.NewScanner(out); lines.Scan(); {
		fmt.Fprintln(&said, lines.Text())
		if !found && strings.Contains(lines.Text(), until) {
			found = true
			_ = syscall.Kill(group, syscall.SIGINT) // at its end the group may be gone
			time.AfterFunc(20*time.Second, func() { _ = syscall.Kill(group, syscall.SIGKILL) })
		}
	}
	err = command.Wait()
	if !found {
		return fmt.Errorf("it did not print %q: %w: %s", until, errors.Join(err, ctx.Err()), lastLines(said.String(), 30))
	}
	return nil
}

// transcript runs the first line, and compares.
func (r *docsRunner) transcript(b docsBlock) error {
	line, want, _ := strings.Cut(b.text, "\n")
	script, found := strings.CutPrefix(line, "$ ")
	if !found {
		return errors.New("the first line is not a command after \"$ \"")
	}
	command := exec.CommandContext(r.t.Context(), "sh", "-c", script)
	command.Dir, command.Env = r.dir(b.page), r.world.env
	out, _ := command.CombinedOutput() // what it prints is what is compared, also with an error
	pattern := "(?s)^"
	for text := range strings.Lines(want) {
		if strings.TrimSpace(text) == "…" {
			return matches(pattern, string(out))
		}
		pattern += vague(strings.TrimRight(text, "\n")) + "[^\n]*\n"
	}
	return matches(pattern+"$", string(out))
}

// vague is a pattern for a line whose numbers, days and words behind … are of another day.
func vague(line string) string {
	line = regexp.MustCompile(`\b(?:Mon|Tue|Wed|Thu|Fri|Sat|Sun) 20`).ReplaceAllString(line, "DAY 20")
	line = regexp.QuoteMeta(strings.TrimSuffix(line, "continues without a break"))
	if strings.Contains(line, "DAY 20") {
		line = regexp.MustCompile(`\d+`).ReplaceAllString(line, `\d+`)
	}
	return strings.NewReplacer(`DAY \d+`, `\w+ \d+`, "…", ".*").Replace(line)
}

func matches(pattern, text string) error {
	ok, err := regexp.MatchString(pattern, text)
	if err == nil && !ok {
		err = fmt.Errorf("what is printed does not match:\n%s", text)
	}
	return err
}

// refusalLines has a hub and a user do what lines of the local cloud are about.
func (r *docsRunner) refusalLines(b docsBlock) error {
	p := startLocalCloud(r.t, "--as-aws", "--print-calls", "--thing", "hub-1")
	path, err := program()
	if err != nil {
		return err
	}
	dir := r.t.TempDir()
	env := []string{"PATH=" + os.Getenv("PATH"), "AWS_KVS_EDGE_STATE_DIRECTORY=" + dir, "AWS_KVS_EDGE_RECORDING_DIRECTORY=" + dir}
	for name, value := range p.env {
		env = append(env, name+"="+value)
	}
	hub, err := startAgent(path, filepath.Join(dir, "agent.out"), env)
	if err != nil {
		return err
	}
	defer hub.kill()
	p.aws("secretsmanager", "create-secret", "--name", "camera-yard", "--secret-string", `{"MediaURI":"rtsp://u:p@192.0.2.1/"}`)
	p.aws("secretsmanager", "get-secret-value", "--secret-id", "camera-yard")
	want := map[string]*regexp.Regexp{}
	for line := range strings.Lines(b.text) {
		line = regexp.QuoteMeta(strings.TrimSpace(line))
		line = regexp.MustCompile(`\d+-\d+-\d+T[\d:]+\\\.\d+Z|\b\d+ (?:bytes|ms)`).ReplaceAllStringFunc(line, func(s string) string {
			return regexp.MustCompile(`\d+`).ReplaceAllString(s, `\d+`)
		})
		want[line] = regexp.MustCompile(strings.ReplaceAll(line, "…", ".*"))
	}
	watch := time.AfterFunc(patience, p.stop)
	defer watch.Stop()
	var said strings.Builder
	for len(want) > 0 {
		line, err := p.stderr.ReadString('\n')
		said.WriteString(line)
		if errors.Is(err, io.EOF) {
			return fmt.Errorf("these lines did not come: %q; those that came:\n%s", slices.Collect(maps.Keys(want)), &said)
		}
		maps.DeleteFunc(want, func(_ string, pattern *regexp.Regexp) bool { return pattern.MatchString(line) })
	}
	return nil
}
