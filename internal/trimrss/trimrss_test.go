package trimrss

import (
	"bytes"
	"fmt"
	"os"
	"runtime"
	"runtime/debug"
	"strings"
	"testing"
	"testing/synctest"

	"go.uber.org/zap"
	"golang.org/x/sys/unix"
)

// resident returns RssAnon or RssFile of this process, in kB.
func resident(t *testing.T, what string) (kB int) {
	t.Helper()
	data, err := os.ReadFile("/proc/self/status")
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(data)) {
		_, _ = fmt.Sscanf(line, what+": %d kB", &kB)
	}
	return kB
}

func TestTheGarbageOfTheStartIsGivenBack(t *testing.T) {
	// Not parallel: what runs beside it takes memory of its own.
	const parts, size = 64, 1 << 20
	left := func() (after, before int) {
		start := make([][]byte, parts)
		for i := range start {
			start[i] = bytes.Repeat([]byte{1}, size)
		}
		before = resident(t, "RssAnon")
		runtime.KeepAlive(start)
		start = nil
		if err := giveBack(); err != nil {
			t.Fatal(err)
		}
		return resident(t, "RssAnon"), before
	}
	left() // the race detector takes memory of its own for what is freed, once
	if after, before := left(); after > before-parts*size/1024*3/4 {
		t.Errorf("%d kB are left of %d, with %d of garbage", after, before, parts*size/1024)
	}
}

func TestTheProgramsPagesAreGivenBack(t *testing.T) {
	// Not parallel: what runs beside it touches pages again.
	mapped := func() int { return resident(t, "RssFile") }
	program, err := os.ReadFile("/proc/self/exe")
	if err != nil {
		t.Fatal(err)
	}
	file, err := os.Open("/proc/self/exe")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = file.Close() }()
	// This program is small, and most of it is in use: so all of it once more, each page read.
	pages, err := unix.Mmap(int(file.Fd()), 0, len(program), unix.PROT_READ, unix.MAP_PRIVATE)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = unix.Munmap(pages) }()
	if !bytes.Equal(pages, program) {
		t.Fatal("the program is not what is mapped")
	}
	before := mapped()
	if err := unmapProgram(); err != nil {
		t.Fatal(err)
	}
	if after := mapped(); after > before-len(program)/1024*3/4 {
		t.Errorf("%d kB of files are mapped, %d before, with a program of %d", after, before, len(program)/1024)
	}
}

// The loader of a position-independent program writes addresses into its pages and then protects
// them from writing. After their release the program jumps to invalid addresses.
func TestPagesThatTheFileCannotBringBackAreKept(t *testing.T) {
	// Not parallel, as above.
	program, err := os.Open("/proc/self/exe")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = program.Close() }()
	page, err := unix.Mmap(int(program.Fd()), 0, os.Getpagesize(), unix.PROT_READ|unix.PROT_WRITE, unix.MAP_PRIVATE)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = unix.Munmap(page) }()
	const relocated = "an address"
	copy(page, relocated)
	if err := unix.Mprotect(page, unix.PROT_READ); err != nil {
		t.Fatal(err)
	}
	if err := unmapProgram(); err != nil {
		t.Fatal(err)
	}
	if got := string(page[:len(relocated)]); got != relocated {
		t.Errorf("the page holds %q, as the file does", got)
	}
}

func TestGarbageIsBoundedUnlessGOGCDoesIt(t *testing.T) {
	percent := func() (now int) {
		now = debug.SetGCPercent(100)
		debug.SetGCPercent(now)
		return now
	}
	defer debug.SetGCPercent(percent())
	for _, c := range []struct {
		gogc          string
		runtime       int // the percentage that the runtime has set before
		program       bool
		start, steady int
	}{
		{"", 100, true, 50, 25},
		{"80", 80, true, 80, 80},
		{"50", 50, true, 50, 50},
		{"off", -1, true, -1, -1},
		{"", 100, false, 100, 100}, // the agent is a part of another program
	} {
		t.Run(fmt.Sprintf("GOGC=%s %v", c.gogc, c.program), func(t *testing.T) {
			t.Setenv("GOGC", c.gogc)
			debug.SetGCPercent(c.runtime)
			if c.program {
				Start()
			}
			start := percent()
			synctest.Test(t, func(t *testing.T) {
				if err := Task(zap.NewNop())(t.Context()); err != nil {
					t.Error(err)
				}
			})
			if steady := percent(); start != c.start || steady != c.steady {
				t.Errorf("%d %% at the start and %d %% later, want %d and %d", start, steady, c.start, c.steady)
			}
		})
	}
}
