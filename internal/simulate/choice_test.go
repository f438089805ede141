package simulate

import (
	"bufio"
	"fmt"
	"hash/fnv"
	"io"
	"math/rand/v2"
	"os"
	"strconv"
	"strings"
	"sync"
	"time"
)

// choices are all that a seed decides, and the trace of it. Each actor has a stream of choices of its own, so that what one chooses does
// not depend on when another one does.
type choices struct {
	seed uint64

	mu     sync.Mutex
	trace  []string            // guarded by mu
	replay map[string][]string // by actor: what a trace says; nil without one. Guarded by mu
}

// newChoices are those of a seed, or of a trace of it.
func newChoices(seed uint64, trace io.Reader) (*choices, error) {
	c := &choices{seed: seed}
	if trace == nil {
		return c, nil
	}
	c.replay = make(map[string][]string)
	lines := bufio.NewScanner(trace)
	for lines.Scan() {
		fields := strings.Split(lines.Text(), "\t")
		if len(fields) == 2 && fields[0] == "seed" {
			var err error
			if c.seed, err = strconv.ParseUint(fields[1], 10, 64); err != nil {
				return nil, err
			}
		}
		if len(fields) == 4 { // actor, when, what, choice
			c.replay[fields[0]] = append(c.replay[fields[0]], fields[3])
		}
	}
	return c, lines.Err()
}

// write writes the trace.
func (c *choices) write(path string) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	text := fmt.Sprintf("seed\t%d\n%s\n", c.seed, strings.Join(c.trace, "\n"))
	return os.WriteFile(path, []byte(text), 0o600)
}

// dice are the choices of one actor. One goroutine uses them.
type dice struct {
	all    *choices
	actor  string
	random *rand.Rand
	begin  time.Time
}

func (c *choices) of(actor string, begin time.Time) *dice {
	h := fnv.New64a()
	_, _ = h.Write([]byte(actor)) // never fails
	return &dice{all: c, actor: actor, random: rand.New(rand.NewPCG(c.seed, h.Sum64())), begin: begin}
}

// below chooses one of 0 to n-1.
func (d *dice) below(what string, n int64) int64 {
	v := d.random.Int64N(n)
	c := d.all
	c.mu.Lock()
	defer c.mu.Unlock()
	if list := c.replay[d.actor]; len(list) > 0 {
		if said, err := strconv.ParseInt(list[0], 10, 64); err == nil {
			v = max(0, min(said, n-1))
		}
		c.replay[d.actor] = list[1:]
	}
	c.trace = append(c.trace, fmt.Sprintf("%s\t%s\t%s\t%d", d.actor, time.Since(d.begin).Truncate(time.Millisecond), what, v))
	return v
}

func (d *dice) pick(what string, n int) int { return int(d.below(what, int64(n))) }

// oneIn is true once in n times.
func (d *dice) oneIn(what string, n int64) bool { return d.below(what, n) == 0 }

// between chooses a duration, in ms.
func (d *dice) between(what string, least, most time.Duration) time.Duration {
	return least + time.Duration(d.below(what, (most-least).Milliseconds()+1))*time.Millisecond
}

// spread chooses a duration such that each doubling is as likely as any other.
func (d *dice) spread(what string, least, most time.Duration) time.Duration {
	doublings := 0
	for x := least; x*2 <= most; x *= 2 {
		doublings++
	}
	low := least << d.pick(what+": doublings", doublings+1)
	return d.between(what, low, min(2*low, most))
}

// noted adds a line that is not a choice, for people who read the trace.
func (c *choices) noted(begin time.Time, format string, args ...any) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.trace = append(c.trace, fmt.Sprintf("# %s %s", time.Since(begin).Truncate(time.Millisecond), fmt.Sprintf(format, args...)))
}
