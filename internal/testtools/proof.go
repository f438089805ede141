package testtools

import (
	"flag"
	"fmt"
	"os"
	"strconv"
	"testing"
	"time"
)

// SizeVariable names the environment variable that says how much of the long proofs is done: "short", which is the
// default, "middle" or "long".
const SizeVariable = "KVS_EDGE_PROOFS"

// Sizes are how much of a long proof is done: Short in every run of the tests and within 10 s, Middle by continuous
// integration, and Long by `make long-NAME`.
type Sizes[T any] struct{ Short, Middle, Long T }

// Proof returns how much this run does of a long proof, and logs what that took. The name has a line in .ci/proofs.
func Proof[T any](tb testing.TB, name string, sizes Sizes[T]) T {
	tb.Helper()
	size, chosen, err := sizes.choose()
	if err != nil {
		tb.Fatal(err)
	}
	begin := time.Now()
	tb.Cleanup(func() { tb.Logf("the %s proof %s (%v) took %.1f s", size, name, chosen, time.Since(begin).Seconds()) })
	return chosen
}

// RapidChecks sets how many checks each property of package rapid gets in this run, unless -rapid.checks says so. It is
// for TestMain, before the tests run.
func RapidChecks(sizes Sizes[int]) error {
	_, checks, err := sizes.choose()
	if err != nil {
		return err
	}
	return flag.Set("rapid.checks", strconv.Itoa(checks))
}

func (s Sizes[T]) choose() (size string, chosen T, err error) {
	switch size = os.Getenv(SizeVariable); size {
	case "", "short":
		return "short", s.Short, nil
	case "middle":
		return size, s.Middle, nil
	case "long":
		return size, s.Long, nil
	}
	return size, chosen, fmt.Errorf("%s is %q, but must be short, middle or long", SizeVariable, size)
}
