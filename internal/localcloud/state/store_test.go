package state

import (
	"syscall"
	"testing"
)

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// A process that is being started has all files of this one, until it runs its program.
func TestAClosedStoreReleasesItsDirectoryAtOnce(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	s, _, err := Open(dir, new(struct{}))
	must(t, err)
	forked, err := syscall.Dup(int(s.lock.Fd()))
	must(t, err)
	defer syscall.Close(forked)
	must(t, s.Close())
	again, _, err := Open(dir, new(struct{}))
	must(t, err)
	must(t, again.Close())
}
