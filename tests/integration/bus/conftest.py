import asyncio, pytest_asyncio, sys
@pytest_asyncio.fixture(autouse=True)
async def dumpit():
    async def w():
        await asyncio.sleep(12)
        with open('/tmp/dump.txt','a') as f:
            f.write('=====\n')
            for t in asyncio.all_tasks():
                t.print_stack(file=f, limit=12)
    t=asyncio.create_task(w()); yield; t.cancel()
