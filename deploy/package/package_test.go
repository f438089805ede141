// Package packaging has no code: its test makes the packages and judges them.
package packaging

import (
	"bytes"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"testing"

	"github.com/kvs-edge/kvs-edge-agent/internal/testtools"
)

const root = "../.."

func run(t *testing.T, env []string, name string, args ...string) string {
	t.Helper()
	command := exec.CommandContext(t.Context(), name, args...)
	command.Env = append(append(os.Environ(), "CGO_ENABLED=0", "LC_ALL=C"), env...)
	var stderr bytes.Buffer
	command.Stderr = &stderr
	output, err := command.Output()
	if err != nil {
		t.Fatalf("%s %q: %v\n%s%s", name, args, err, output, &stderr)
	}
	return string(output)
}

// sources are what packages are made from.
type sources struct{ dir, program string }

func makeSources(t *testing.T) sources {
	t.Helper()
	if runtime.GOARCH != "amd64" && runtime.GOARCH != "arm64" {
		t.Skip("there is no rpm for this architecture")
	}
	s := sources{dir: t.TempDir()}
	s.program = filepath.Join(s.dir, "kvs-edge-agent")
	run(t, nil, "go", "build", "-trimpath", "-buildvcs=false", "-ldflags", "-s -w", "-o", s.program, root+"/cmd/kvs-edge-agent")
	docs := filepath.Join(s.dir, "docs") // some pages are written in part
	if err := os.CopyFS(docs, os.DirFS(filepath.Join(root, "docs"))); err != nil {
		t.Fatal(err)
	}
	run(t, nil, s.program, "generate-docs", docs, s.dir)
	licences := run(t, nil, "go", "run", root+"/deploy/licenses")
	if err := os.WriteFile(filepath.Join(s.dir, "THIRD-PARTY-LICENSES"), []byte(licences), 0o644); err != nil {
		t.Fatal(err)
	}
	return s
}

// build returns the path of a package of a program that it makes in a directory of that name.
func (s sources) build(t *testing.T, format, program, dir string) string {
	t.Helper()
	out := filepath.Join(s.dir, dir)
	env := []string{"GENERATED=" + s.dir, "SOURCE_DATE_EPOCH=1700000000", "NFPM=" + filepath.Join(s.dir, "nfpm")}
	return strings.TrimSpace(run(t, env, "./build", format, runtime.GOARCH, program, "1.2.3", out))
}

func TestPackages(t *testing.T) {
	t.Parallel()
	testtools.Need(t, "dpkg-deb", "rpm", "lintian")
	s := makeSources(t)
	// Only lintian reads the program; a small file instead of it saves compressing it many times.
	small := filepath.Join(s.dir, "THIRD-PARTY-LICENSES")
	deb, rpm := s.build(t, "deb", s.program, "whole"), s.build(t, "rpm", small, "1")
	t.Run("same bytes", func(t *testing.T) {
		smallDeb := s.build(t, "deb", small, "1")
		for format, first := range map[string]string{"deb": smallDeb, "rpm": rpm} {
			if !bytes.Equal(read(t, first), read(t, s.build(t, format, small, "2"))) {
				t.Errorf("a second %s differs", format)
			}
		}
	})
	t.Run("deb", func(t *testing.T) {
		var files []string
		for line := range strings.Lines(run(t, nil, "dpkg-deb", "-c", deb)) {
			fields := strings.Fields(line)
			files = append(files, strings.TrimPrefix(fields[5], "."))
		}
		expectDocumented(t, files)
		expect(t, files, "/usr/share/doc/kvs-edge-agent/THIRD-PARTY-LICENSES", "/usr/share/doc/kvs-edge-agent/copyright")
	})
	t.Run("downgrade", func(t *testing.T) { expectDowngrade(t, deb) })
	t.Run("rpm", func(t *testing.T) {
		files := strings.Fields(run(t, nil, "rpm", "-qlp", rpm))
		expectDocumented(t, files)
		expect(t, files, "/usr/share/licenses/kvs-edge-agent/THIRD-PARTY-LICENSES", "/usr/share/licenses/kvs-edge-agent/LICENSE")
		for _, dir := range []string{"/etc", "/usr", "/usr/bin", "/usr/lib", "/usr/share", "/usr/share/doc", "/usr/lib/systemd/system"} {
			if slices.Contains(files, dir) {
				t.Errorf("the package claims %s, which belongs to the distribution", dir)
			}
		}
		expectScripts(t, rpm)
	})
	t.Run("lintian", func(t *testing.T) {
		// No --fail-on: an override that is not needed is a tag of a lower level.
		output := run(t, nil, "lintian", "--allow-root", "--display-info", "--tag-display-limit", "0", deb)
		for line := range strings.Lines(output) {
			if strings.HasPrefix(line, "E:") || strings.HasPrefix(line, "W:") || strings.Contains(line, "override") {
				t.Error(strings.TrimSpace(line))
			}
		}
	})
}

func read(t *testing.T, path string) []byte {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

func expect(t *testing.T, files []string, names ...string) {
	t.Helper()
	for _, name := range names {
		if !slices.Contains(files, name) {
			t.Errorf("%s is not in the package", name)
		}
	}
}

var (
	fileOfRepository = regexp.MustCompile(`\bdeploy/[A-Za-z0-9_/-]+\.[a-z]+`)
	fileOnHub        = regexp.MustCompile(`/usr/(?:lib|share)/[A-Za-z0-9_./@-]+[A-Za-z0-9]`)
	link             = regexp.MustCompile(`\]\(([^)#:]+)(#[^)]*)?\)`)
	codeBlock        = regexp.MustCompile("(?ms)^ *```.*?^ *```$")
)

// notInPackages are files on a hub that come from elsewhere: setup writes the one, the image has the other.
var notInPackages = []string{
	"/usr/lib/systemd/system/kvs-edge-agent.service.d/10-system-calls.conf", "/usr/share/licenses/kvs-edge-agent",
}

// expectDocumented finds in the package each file that a page names or links to.
func expectDocumented(t *testing.T, files []string) {
	t.Helper()
	const docs = "/usr/share/doc/kvs-edge-agent"
	expect(t, files, "/etc/kvs-edge-agent/streams.d/README")
	expect(t, files, "/usr/bin/kvs-edge-agent", "/etc/kvs-edge-agent/agent.env", "/usr/lib/systemd/system/kvs-edge-agent.service",
		"/usr/lib/kvs-edge-agent/setup", "/usr/lib/kvs-edge-agent/system-calls.conf", "/usr/share/man/man1/kvs-edge-agent.1.gz",
		"/usr/share/bash-completion/completions/kvs-edge-agent")
	var pages []string
	for _, pattern := range []string{"README.md", "docs/*.md", "docs/decisions/*.md", "deploy/systemd/*.env", "deploy/systemd/*.service"} {
		found, err := filepath.Glob(filepath.Join(root, pattern))
		if err != nil {
			t.Fatal(err)
		}
		pages = append(pages, found...)
	}
	named := 0
	for _, page := range pages {
		text := string(read(t, page))
		relative, err := filepath.Rel(root, page)
		if err != nil {
			t.Fatal(err)
		}
		if relative == "README.md" {
			text = codeBlock.ReplaceAllString(text, "") // how to build from sources
		}
		names := fileOnHub.FindAllString(text, -1)
		for _, name := range fileOfRepository.FindAllString(text, -1) {
			names = append(names, filepath.Join(docs, name))
		}
		for _, m := range link.FindAllStringSubmatch(text, -1) {
			names = append(names, filepath.Join(docs, filepath.Dir(relative), m[1]))
		}
		for _, name := range names {
			named++
			if !slices.Contains(files, name) && !slices.Contains(files, name+"/") && !slices.Contains(notInPackages, name) {
				t.Errorf("%s names %s, which is not in the package", relative, name)
			}
		}
	}
	if named < 50 {
		t.Errorf("only %d names were found in %d pages", named, len(pages))
	}
}

// expectScripts reads the scriptlets with the shell that runs them.
// expectDowngrade runs the scripts of a package at downgrades, on recordings of several formats.
func expectDowngrade(t *testing.T, deb string) {
	t.Helper()
	root, control := t.TempDir(), filepath.Join(t.TempDir(), "control")
	run(t, nil, "dpkg-deb", "-e", deb, control)
	recordings := filepath.Join(root, "my recordings")
	write := func(path, content string) {
		t.Helper()
		if err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o755), os.WriteFile(path, []byte(content), 0o644)); err != nil {
			t.Fatal(err)
		}
	}
	write(filepath.Join(root, "etc/kvs-edge-agent/agent.env"), "A=b\nAWS_KVS_EDGE_RECORDING_DIRECTORY='"+recordings+"'\n")
	write(filepath.Join(recordings, "door/e000001-20261121T041548.083Z+1.sealed.mkv"), "")
	write(filepath.Join(recordings, "door/20261121T041548.083Z+1.sealed.mkv"), "")
	const format = ".kvs-edge-format"
	for _, tc := range []struct{ content, script, verb, version, want string }{
		{"", "preinst", "upgrade", "9.9.9", ""},
		{"2 v1\n", "preinst", "upgrade", "9.9.9", ""},
		{"1000 v9.9.9\n", "preinst", "upgrade", "9.9.9", "recorded there in format 1000"},
		{"1000\n", "preinst", "install", "", "1.2.3 does not know all that is in " + recordings},
		{"what\n", "preinst", "upgrade", "9.9.9", ""},
		{"", "prerm", "upgrade", "1.0.0", ""},
		{"2\n", "prerm", "upgrade", "1.2.4", ""},
		{"2\n", "prerm", "upgrade", "1.0.0", "does not see 1 of them"},
		{"2\n", "prerm", "upgrade", "1.0.0", "1.0.0 takes the place of the newer 1.2.3"},
	} {
		if err := os.RemoveAll(filepath.Join(recordings, format)); err != nil {
			t.Fatal(err)
		}
		if tc.content != "" {
			write(filepath.Join(recordings, format), tc.content)
		}
		got := run(t, []string{"DPKG_ROOT=" + root}, filepath.Join(control, tc.script), tc.verb, tc.version)
		if tc.want == "" && got != "" || !strings.Contains(got, tc.want) {
			t.Errorf("%q: %s %s %s says %q, want %q", tc.content, tc.script, tc.verb, tc.version, got, tc.want)
		}
	}
}

func expectScripts(t *testing.T, rpm string) {
	t.Helper()
	for tag, wanted := range map[string][]string{
		"PREIN": {"useradd", "store_format() {", "\nsay_newer"}, "POSTIN": {"/usr/lib/kvs-edge-agent/setup"},
		"PREUN": {"systemctl stop"}, "POSTUN": {"daemon-reload"},
	} {
		script := run(t, nil, "rpm", "-qp", "--qf", "%{"+tag+"}", rpm)
		for _, want := range wanted {
			if !strings.Contains(script, want) || strings.Contains(script, "@") {
				t.Errorf("%s lacks %q:\n%s", tag, want, script)
			}
		}
		run(t, nil, "sh", "-n", "-c", script)
	}
}

// TestEveryLintianOverrideHasAReason wants a comment above each override.
func TestEveryLintianOverrideHasAReason(t *testing.T) {
	t.Parallel()
	before := ""
	for line := range strings.Lines(string(read(t, "lintian-overrides"))) {
		if !strings.HasPrefix(line, "#") && !strings.HasPrefix(before, "#") {
			t.Errorf("no reason stands above %s", line)
		}
		before = line
	}
}

// TestSetupInstallsTheDropInFromVersion231On runs it with a systemctl that reports other versions.
func TestSetupInstallsTheDropInFromVersion231On(t *testing.T) {
	t.Parallel()
	script := strings.ReplaceAll(string(read(t, "setup")), "/usr/lib/kvs-edge-agent/system-calls.conf", "../systemd/system-calls.conf")
	for version, want := range map[string]bool{
		"systemd 219": false, "systemd 229": false, "systemd 230": false, "systemd 231": true, "systemd 237": true,
		"systemd 252 (252.38-1~deb12u1)": true, "systemd 257.8-1~deb13u2": true, "": false,
	} {
		dir := t.TempDir()
		fake := "#!/bin/sh\necho '" + version + "'\necho '+PAM -SECCOMP'\n"
		testtools.WriteProgram(t, filepath.Join(dir, "systemctl"), []byte(fake), 0o755)
		env := []string{"PATH=" + dir + ":" + os.Getenv("PATH")}
		file := filepath.Join(dir, "unit.d", "10-system-calls.conf")
		run(t, env, "sh", "-c", script, "setup", "drop-in", filepath.Dir(file))
		if _, err := os.Stat(file); (err == nil) != want {
			t.Errorf("%q: installed is %v", version, err == nil)
		}
	}
}
