// Prints states as a preview makes them that signs in through the production server at argv[3].
import { make } from "./config.mjs"

const preview = make("http://preview.example", process.argv[3])
for (let left = Number(process.argv[2]); left > 0; left--) {
  const answer = await preview.handler(
    new Request("http://preview.example/api/auth/sign-in/social", {
      method: "POST",
      headers: { "content-type": "application/json", origin: "http://preview.example" },
      body: JSON.stringify({
        provider: "github",
        callbackURL: "/",
        errorCallbackURL: "http://preview.example/denied",
      }),
    }),
  )
  const { url } = await answer.json()
  console.log(new URL(url).searchParams.get("state"))
}
