package settings

import (
	"crypto/x509"
	"fmt"
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/kvs-edge/kvs-edge-agent/internal/cloud/endpoint"
	"github.com/kvs-edge/kvs-edge-agent/internal/fragment"
	"github.com/kvs-edge/kvs-edge-agent/internal/health"
	"github.com/kvs-edge/kvs-edge-agent/internal/hold"
	"github.com/kvs-edge/kvs-edge-agent/internal/retention"
)

// environment reads variables and gathers what is wrong with them.
type environment struct {
	lookup func(string) (string, bool)
	faults []string
}

func (e *environment) fault(format string, args ...any) {
	e.faults = append(e.faults, fmt.Sprintf(format, args...))
}

// optional takes an empty variable for one that is not set: environment files often leave `NAME=`.
func (e *environment) optional(name, otherwise string) string {
	if value, ok := e.lookup(name); ok && strings.TrimSpace(value) != "" {
		return strings.TrimSpace(value)
	}
	return otherwise
}

func (e *environment) required(name, what string) string {
	value := e.optional(name, "")
	if value == "" {
		e.fault("%s is not set: it is %s", name, what)
	}
	return value
}

func (e *environment) endpoint(name, howToFind string) string {
	value := e.required(name, "the host that `"+howToFind+"` shows")
	if wrong := endpoint.HostFault(value); value != "" && wrong != "" {
		e.fault("%s %s", name, wrong)
	}
	return value
}

// endpoints reads which hosts of AWS are used, as every SDK does.
func (e *environment) endpoints() endpoint.Options {
	set := func(name string) bool { return e.optional(name, "") != "" }
	o := endpoint.Options{
		Choices: endpoint.Choices{FIPS: e.boolean(endpoint.EnvFIPS, false), DualStack: e.boolean(endpoint.EnvDualStack, false),
			IgnoreURLs: e.boolean(endpoint.EnvIgnoreURLs, false)},
		Set: endpoint.Choices{FIPS: set(endpoint.EnvFIPS), DualStack: set(endpoint.EnvDualStack), IgnoreURLs: set(endpoint.EnvIgnoreURLs)},
	}
	o.Environment.All = e.url(endpoint.EnvURL)
	for _, s := range endpoint.Services() {
		*o.Environment.Of(s) = e.url(s.Variable)
	}
	return o
}

// url is the address of a service of AWS; "" when none is set.
func (e *environment) url(name string) string {
	value := e.optional(name, "")
	if wrong := endpoint.URLFault(value); value != "" && wrong != "" {
		e.fault("%s %s", name, wrong)
	}
	return value
}

func (e *environment) match(name, value string, pattern *regexp.Regexp, what string) {
	if value != "" && !pattern.MatchString(value) {
		e.fault("%s is %q, but must be %s", name, value, what)
	}
}

func (e *environment) number(name string, otherwise, least, most int) int {
	text := e.optional(name, "")
	if text == "" {
		return otherwise
	}
	n, err := strconv.Atoi(text)
	if err != nil || n < least || n > most {
		e.fault("%s is %q, but must be a whole number from %d to %d", name, text, least, most)
	}
	return n
}

// oneOf takes one of several words, the first when none is set.
func (e *environment) oneOf(name string, words ...string) string {
	text := strings.ToLower(e.optional(name, words[0]))
	if !slices.Contains(words, text) {
		e.fault("%s is %q, but must be one of %s", name, text, strings.Join(words, ", "))
	}
	return text
}

// roots reads a file of PEM certificates, nil for none.
func (e *environment) roots(name, path string) *x509.CertPool {
	if path == "" {
		return nil
	}
	pem, err := os.ReadFile(path)
	if err != nil {
		e.fault("%s: cannot read %s: %s", name, path, health.Reason(err))
		return nil
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(pem) {
		e.fault("%s: no PEM certificate in %s", name, path)
	}
	return pool
}

func (e *environment) boolean(name string, otherwise bool) bool {
	switch text := strings.ToUpper(e.optional(name, "")); text {
	case "":
		return otherwise
	case "TRUE":
		return true
	case "FALSE":
		return false
	default:
		e.fault("%s is %q, but must be TRUE or FALSE", name, text)
		return otherwise
	}
}

func (e *environment) duration(name string, otherwise, least, most time.Duration) time.Duration {
	text := e.optional(name, "")
	if text == "" {
		return otherwise
	}
	d, err := time.ParseDuration(text)
	if err != nil || d < least || d > most {
		e.fault("%s is %q, but must be a duration from %s to %s, such as 5m", name, text, least, most)
	}
	return d
}

// fragment is the length of fragments; auto without one.
func (e *environment) fragment(name string) fragment.Length {
	text := e.optional(name, "")
	l, err := fragment.Parse(text)
	if err != nil {
		e.fault("%s is %q, but %s", name, text, err)
	}
	return l
}

// reserve is a size or a part of the disk; without one retention's own default applies.
func (e *environment) reserve(name string) retention.Reserve {
	text := e.optional(name, "")
	if text == "" {
		return retention.Reserve{}
	}
	r, err := retention.ParseReserve(text)
	if err != nil {
		e.fault("%s: %s", name, err)
	}
	return r
}

// holdMax is a size or a part of the disk.
func (e *environment) holdMax(name string) hold.Max {
	text := e.optional(name, "")
	if text == "" {
		return hold.Max{}
	}
	m, err := hold.ParseMax(text)
	if err != nil {
		e.fault("%s: %s", name, err)
	}
	return m
}

// Error holds everything that is wrong with the environment.
type Error struct{ Faults []string }

// Error names all faults, one a line.
func (e *Error) Error() string {
	return "wrong settings:\n  " + strings.Join(e.Faults, "\n  ")
}
