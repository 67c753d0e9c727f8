// Links to other pages.

/** The page of a chat. */
export const chatLink = (id) => `/chat?id=${encodeURIComponent(id)}`;
