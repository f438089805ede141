package timeline

import (
	"os"
	"testing"

	"github.com/kvs-edge/kvs-edge-agent/internal/testtools"
)

// propertyChecks are how many cameras each property draws: a part of the proof timeline.
var propertyChecks = testtools.Sizes[int]{Short: 20, Middle: 100, Long: 5000}

func TestMain(m *testing.M) {
	if err := testtools.RapidChecks(propertyChecks); err != nil {
		panic(err)
	}
	os.Exit(m.Run())
}
