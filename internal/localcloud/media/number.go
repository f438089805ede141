package media

import (
	"math/big"
	"sync"
	"time"
)

// numbers makes the numbers of fragments: 2^156 plus the milliseconds since 1970 in the bits from 68
// up, which has the 47 digits and the order in time of KVS's own. They rise over all streams and restarts.
type numbers struct {
	mu   sync.Mutex
	last big.Int
}

func (n *numbers) next(now time.Time) string {
	n.mu.Lock()
	defer n.mu.Unlock()
	fresh := new(big.Int).Lsh(big.NewInt(1), 156)
	fresh.Add(fresh, new(big.Int).Lsh(big.NewInt(max(0, now.UnixMilli())), 68))
	if fresh.Cmp(&n.last) <= 0 {
		fresh.Add(&n.last, big.NewInt(1))
	}
	n.last.Set(fresh)
	return fresh.String()
}

// after makes later numbers greater than one that was given before a restart.
func (n *numbers) after(number string) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if seen, ok := new(big.Int).SetString(number, 10); ok && seen.Cmp(&n.last) > 0 {
		n.last.Set(seen)
	}
}
