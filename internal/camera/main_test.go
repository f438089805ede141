package camera

import (
	"testing"
	"time"

	"go.uber.org/goleak"
)

// patience bounds every wait for an event that must come: it is long, as machines are slow at times.
const patience = time.Minute

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }
