package agent

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/kvs-edge/kvs-edge-agent/internal/backoff"
)

// TestALogWithoutALimitIsOneFile as AWS_KVS_EDGE_LOG_MAX_FILE_SIZE=0 asks for: more than the 100 MB for
// which the library takes 0.
func TestALogWithoutALimitIsOneFile(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	sparse, err := os.Create(filepath.Join(dir, logFileName))
	if err == nil {
		err = errors.Join(sparse.Truncate(3<<30), sparse.Close())
	}
	if err != nil {
		t.Fatal(err)
	}
	file, err := OpenLogFile(LogSettings{Directory: dir, MaxFileSizeMB: 0, RolloverCount: 3})
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
		file, err := OpenLogFile(LogSettings{Directory: dir, MaxFileSizeMB: 1, RolloverCount: count})
		if err != nil {
			t.Fatal(err)
		}
		line := append(bytes.Repeat([]byte("a"), 300<<10), '\n')
		for range 20 {
			if _, err := file.Write(line); err != nil {
				t.Fatal(err)
			}
			// Old ones are told apart by the millisecond of their end.
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
