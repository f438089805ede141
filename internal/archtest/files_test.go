package archtest

import (
	"io/fs"
	"path/filepath"
	"strings"
	"testing"
)

// eachFile visits all Go files; pkg is the directory of a file below the root.
func eachFile(t *testing.T, visit func(path, pkg string)) {
	t.Helper()
	err := filepath.WalkDir(root, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() || !strings.HasSuffix(path, ".go") {
			return err
		}
		rel, err := filepath.Rel(root, filepath.Dir(path))
		if err == nil {
			visit(path, filepath.ToSlash(rel))
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}

// eachSource visits all Go files except tests.
func eachSource(t *testing.T, visit func(path, pkg string)) {
	t.Helper()
	eachFile(t, func(path, pkg string) {
		if !isTest(path) {
			visit(path, pkg)
		}
	})
}

func isTest(path string) bool { return strings.HasSuffix(path, "_test.go") }
