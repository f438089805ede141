package testtools

import (
	"os"
	"syscall"
	"testing"
)

// WriteProgram writes a program that the test is about to run. Meanwhile this process starts no other one: that one would
// have the file open for writing until it is replaced by its own program, and until then the kernel runs no such file (ETXTBSY).
func WriteProgram(tb testing.TB, path string, content []byte, mode os.FileMode) {
	tb.Helper()
	syscall.ForkLock.RLock()
	err := os.WriteFile(path, content, mode)
	syscall.ForkLock.RUnlock()
	if err != nil {
		tb.Fatal(err)
	}
}
