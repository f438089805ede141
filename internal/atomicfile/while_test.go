package atomicfile_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"testing"

	"github.com/kvs-edge/kvs-edge-agent/internal/atomicfile"
)

// TestNothingIsChangedThatCannotBeRead ends the time in which a file may be read.
func TestNothingIsChangedThatCannotBeRead(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "a")
	if err := os.WriteFile(path, []byte("as it was"), 0o600); err != nil {
		t.Fatal(err)
	}
	opened, err := atomicfile.OS{}.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = opened.Close() }()
	ctx, end := context.WithCancel(t.Context())
	f := atomicfile.While(ctx, opened)
	uses := map[string]func() error{
		"read":     func() error { _, err := f.ReadAt(make([]byte, 2), 0); return err },
		"write":    func() error { _, err := f.Write([]byte("as")); return err },
		"write at": func() error { _, err := f.WriteAt([]byte("it"), 3); return err },
		"truncate": func() error { return f.Truncate(9) },
	}
	for what, use := range uses {
		if err := use(); err != nil {
			t.Errorf("before: %s: %v", what, err)
		}
	}
	end()
	for what, use := range uses {
		if err := use(); !errors.Is(err, context.Canceled) {
			t.Errorf("after: %s: %v", what, err)
		}
	}
	if got, err := os.ReadFile(path); err != nil || string(got) != "as it was" {
		t.Errorf("the file holds %q, %v", got, err)
	}
}
