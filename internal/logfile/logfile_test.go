package logfile

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/kvs-edge/kvs-edge-agent/internal/backoff"
	"github.com/kvs-edge/kvs-edge-agent/internal/settings"
)

// TestALogWithoutALimitIsOneFile as AWS_KVS_EDGE_LOG_MAX_FILE_SIZE=0 asks for: more than the 100 MB for
// which the library takes 0.
func TestALogWithoutALimitIsOneFile(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	sparse, err := os.Create(filepath.Join(dir, fileName))
	if err == nil {
		err = errors.Join(sparse.Truncate(3<<30), sparse.Close())
	}
	if err != nil {
		t.Fatal(err)
	}
	file, err := Open(settings.Log{Directory: dir, MaxFileSizeMB: 0, RolloverCount: 3})
	if err != nil {
		t.Fatal(err)
	}
	_, err = file.Write([]byte("one line more\n"))
	if err = errors.Join(err, file.Close()); err != nil {
		t.Fatal(err)
	}
	if entries, err := os.ReadDir(dir); err != nil || len(entries) != 1 {
		t.Errorf("there are %d files, %v", len(entries), err)
	}
}

// TestOldLogFilesAreRemoved writes several files' worth of lines. That none is to be kept must not mean
// that all are.
func TestOldLogFilesAreRemoved(t *testing.T) {
	t.Parallel()
	for count, want := range map[int]int{0: 2, 1: 2, 2: 3} { // with the one that is written
		dir := t.TempDir()
		file, err := Open(settings.Log{Directory: dir, MaxFileSizeMB: 1, RolloverCount: count})
		if err != nil {
			t.Fatal(err)
		}
		line := append(bytes.Repeat([]byte("a"), 300<<10), '\n')
		for range 20 {
			if _, err := file.Write(line); err != nil {
				t.Fatal(err)
			}
			// Rotated files are distinguished by the millisecond of their end.
			if backoff.Sleep(t.Context(), 2*time.Millisecond) != nil {
				return
			}
		}
		if err := file.Close(); err != nil {
			t.Fatal(err)
		}
		got := 0
		for deadline := time.Now().Add(5 * time.Second); time.Now().Before(deadline); { // a goroutine of its own removes them
			entries, err := os.ReadDir(dir)
			if err != nil {
				t.Fatal(err)
			}
			if got = len(entries); got == want || backoff.Sleep(t.Context(), 10*time.Millisecond) != nil {
				break
			}
		}
		if got != want {
			t.Errorf("with %d old ones to be kept there are %d files", count, got)
		}
	}
}

// The group may read logs: docs/security.md.
func TestTheAgentsGroupReadsAllLogFiles(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	file, err := Open(settings.Log{Level: "INFO", Directory: dir, MaxFileSizeMB: 1, RolloverCount: 3})
	if err != nil {
		t.Fatal(err)
	}
	for range 3 {
		if _, err := file.Write(make([]byte, 600_000)); err != nil {
			t.Fatal(err)
		}
	}
	_ = file.Close()
	entries, err := os.ReadDir(dir)
	if err != nil || len(entries) < 2 {
		t.Fatalf("%d files, %v", len(entries), err)
	}
	for _, entry := range entries {
		if info, err := entry.Info(); err != nil || info.Mode().Perm() != 0o640 {
			t.Errorf("%s has mode %v, %v", entry.Name(), info.Mode(), err)
		}
	}
}

func TestLogLevelsOfAWSsAgent(t *testing.T) {
	t.Parallel()
	for _, name := range settings.LogLevels {
		dir := t.TempDir()
		file, err := Open(settings.Log{Level: name, Directory: dir, MaxFileSizeMB: 1, RolloverCount: 1})
		if err != nil {
			t.Fatal(err)
		}
		log := NewLogger(file, NewLevel(name))
		log.Error("an error")
		log.Debug("a detail")
		_ = file.Close()
		text, _ := os.ReadFile(filepath.Join(dir, fileName))
		for line, levels := range map[string]string{"an error": "ALL ERROR WARN INFO DEBUG TRACE", "a detail": "ALL DEBUG TRACE"} {
			want := strings.Contains(" "+levels+" ", " "+name+" ")
			if got := strings.Contains(string(text), line); got != want {
				t.Errorf("level %s: %q logged %v, want %v", name, line, got, want)
			}
		}
	}
}

func TestALogFollowsOtherLimits(t *testing.T) {
	t.Parallel()
	s := settings.Log{Directory: t.TempDir(), MaxFileSizeMB: 20, RolloverCount: 10}
	f, err := Open(s)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = f.Close() }()
	s.MaxFileSizeMB, s.RolloverCount = 7, 3
	f.Follow(s)
	if f.file.MaxSize != 7 || f.file.MaxBackups != 3 || f.Settings() != s {
		t.Errorf("it is written by %+v, with files of %d MB and %d old ones", f.Settings(), f.file.MaxSize, f.file.MaxBackups)
	}
}

// A hub may be reloaded for years: each file that lumberjack opens keeps a goroutine.
func TestReloadsTakeNoMoreFiles(t *testing.T) {
	t.Parallel()
	first := settings.Log{Level: "INFO", Directory: t.TempDir(), MaxFileSizeMB: 20, RolloverCount: 10}
	other, elsewhere := first, first
	other.MaxFileSizeMB, elsewhere.Directory = 7, t.TempDir()
	f, err := Open(first)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = f.Close() }()
	lines := map[string]int{}
	for i := range 30 {
		s := []settings.Log{first, other, elsewhere}[i%3]
		s.Level = []string{"INFO", "DEBUG", "TRACE", "WARN"}[i%4]
		f.Follow(s)
		if _, err := f.Write([]byte("a line\n")); err != nil {
			t.Fatal(err)
		}
		lines[s.Directory]++
	}
	for dir, want := range lines {
		text, err := os.ReadFile(filepath.Join(dir, fileName))
		if got := strings.Count(string(text), "a line\n"); err != nil || got != want {
			t.Errorf("%s has %d lines, want %d: %v", dir, got, want, err)
		}
	}
	if len(f.files) != 3 {
		t.Errorf("%d files were made, want 3", len(f.files))
	}
}
