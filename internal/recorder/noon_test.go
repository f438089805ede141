package recorder

import "time"

// noon is the start time of tests with a clock of their own, and tick the interval of their frames.
var noon = time.Date(2026, 11, 21, 12, 0, 0, 0, time.UTC)

const tick = 40 * time.Millisecond
