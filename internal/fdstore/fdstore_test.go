package fdstore_test

import (
	"fmt"
	"io"
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"

	"go.uber.org/goleak"

	"github.com/warrenvpn/warren/internal/fdstore"
	"github.com/warrenvpn/warren/internal/fdstore/fdstoretest"
)

// TestMain is also the main of the programs that the tests start.
func TestMain(m *testing.M) {
	if manner := os.Getenv("FDSTORE_MANNER"); manner != "" {
		if err := program(manner); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		return
	}
	goleak.VerifyTestMain(m)
}

// program prints what was kept: each name with what a reader of it gets. Then it does
// what its manner says.
func program(manner string) error {
	store, kept, err := fdstore.Open()
	if err != nil {
		return err
	}
	for _, v := range []string{"LISTEN_PID", "LISTEN_FDS", "LISTEN_FDNAMES"} {
		if os.Getenv(v) != "" {
			return fmt.Errorf("%s is there still", v)
		}
	}
	for _, k := range kept {
		f, err := k.Dup(k.Name)
		if err != nil {
			return err
		}
		b := make([]byte, 16)
		n, err := f.ReadAt(b, 0)
		if err != nil && err != io.EOF {
			return err
		}
		fmt.Printf("%s=%s\n", k.Name, b[:n])
		f.Close()
		k.Close()
	}
	for _, what := range strings.Fields(manner) {
		verb, name, _ := strings.Cut(what, ":")
		switch verb {
		case "keep":
			f, err := os.CreateTemp("", "fdstore")
			if err != nil {
				return err
			}
			os.Remove(f.Name())
			f.WriteString("file " + name)
			if err := store.Keep(name, f); err != nil {
				return err
			}
			f.Close()
		case "drop":
			if err := store.Drop(name); err != nil {
				return err
			}
		case "kill":
			p, _ := os.FindProcess(os.Getpid())
			p.Kill()
			select {}
		}
	}
	return store.Close()
}

// life runs a program that the keeper looks after, and returns what it prints.
func life(t *testing.T, k *fdstoretest.Keeper, manner string) string {
	t.Helper()
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), "FDSTORE_MANNER="+manner)
	if k != nil {
		release, err := k.Hand(cmd)
		if err != nil {
			t.Fatal(err)
		}
		defer release()
	}
	var errs strings.Builder
	cmd.Stderr = &errs
	out, err := cmd.Output()
	if err != nil && !strings.Contains(manner, "kill") {
		t.Fatalf("%v: %s", err, errs.String())
	}
	return string(out)
}

// TestLives: what one life of a program has had kept the next one has, whatever ended
// it, until it is dropped.
func TestLives(t *testing.T) {
	k, err := fdstoretest.New(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	defer k.Close()
	for i, l := range []struct{ manner, want string }{
		{"keep:a keep:b/1 kill", ""},
		{"drop:a drop:nothing keep:c kill", "a=file a\nb/1=file b/1\n"},
		{"drop:b/1 keep:b/1", "b/1=file b/1\nc=file c\n"},
		{"drop:b/1 drop:c", "c=file c\nb/1=file b/1\n"},
		{"none", ""},
	} {
		if got := life(t, k, l.manner); got != l.want {
			t.Errorf("life %d: got %q, want %q", i+1, got, l.want)
		}
	}
	if err := k.Settle(); err != nil {
		t.Fatal(err)
	}
	if got := k.Names(); len(got) > 0 {
		t.Errorf("at the end there is %v", got)
	}
}

// TestNobodyKeeps: without a keeper nothing is kept, and nothing is an error.
func TestNobodyKeeps(t *testing.T) {
	if got := life(t, nil, "keep:a drop:a keep:a"); got != "" {
		t.Errorf("got %q", got)
	}
}

// TestNames: what systemd would refuse, or cut short, is an error, and so is a name that
// is taken.
func TestNames(t *testing.T) {
	k, err := fdstoretest.New(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	defer k.Close()
	cmd := exec.Command("true")
	release, err := k.Hand(cmd)
	if err != nil {
		t.Fatal(err)
	}
	defer release()
	i := slices.IndexFunc(cmd.Env, func(v string) bool { return strings.HasPrefix(v, "NOTIFY_SOCKET=") })
	t.Setenv("NOTIFY_SOCKET", strings.TrimPrefix(cmd.Env[i], "NOTIFY_SOCKET="))
	store, _, err := fdstore.Open()
	if err != nil {
		t.Fatal(err)
	}
	defer store.Close()
	f, err := os.Open(os.DevNull)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	for _, name := range []string{"", "a:b", "a b", "a\n", "\x7f", "ä", strings.Repeat("x", 256)} {
		if err := store.Keep(name, f); err == nil {
			t.Errorf("%q was taken", name)
		}
	}
	if err := store.Keep("a", f); err != nil {
		t.Fatal(err)
	}
	if err := store.Keep("a", f); err == nil {
		t.Error("a name was taken twice")
	}
}

// TestNameless: a descriptor without a name is nobody's, and those beside it are there.
func TestNameless(t *testing.T) {
	k, err := fdstoretest.New(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	defer k.Close()
	life(t, k, "keep:a keep:b")
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), "FDSTORE_MANNER=none")
	release, err := k.Hand(cmd)
	if err != nil {
		t.Fatal(err)
	}
	defer release()
	for i, v := range cmd.Env {
		if v == "LISTEN_FDNAMES=a:b" {
			cmd.Env[i] = "LISTEN_FDNAMES=:b"
		}
	}
	if out, err := cmd.Output(); err != nil || string(out) != "b=file b\n" {
		t.Errorf("got %q, %v", out, err)
	}
}
