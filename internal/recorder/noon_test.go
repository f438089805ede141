package recorder

import "time"

// noon is when tests begin that have a clock of their own, and tick the distance of their frames.
var noon = time.Date(2026, 11, 21, 12, 0, 0, 0, time.UTC)

const tick = 40 * time.Millisecond
