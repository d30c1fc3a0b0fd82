package client_test

import (
	"context"
	"fmt"
	"log"
	"time"

	"github.com/warrenvpn/warren/system/client"
)

func Example() {
	c := client.New(&client.Config{Socket: "/run/warren/warren.sock"})
	defer c.Close()

	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	if _, err := c.WaitReady(ctx); err != nil {
		log.Fatal(err) // an *fault.Error: its Hint says what to do
	}
	list, err := c.Sessions(ctx, "blue")
	if err != nil {
		log.Fatal(err)
	}
	for _, s := range list.Sessions {
		fmt.Println(s.User, s.Assigned)
	}
}
